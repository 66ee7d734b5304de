-- $1: names of tables; what the planner believes, 0 where nothing was ever counted
select c.relname::text as "table", greatest(c.reltuples, 0)::float8 as "rows"
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname = any ($1::text[]);
