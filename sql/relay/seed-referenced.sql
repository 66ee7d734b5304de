-- $1: names of tables. Those that another table outside the list refers to: Postgres truncates them only together.
select distinct t.relname::text as "table"
from pg_constraint c
join pg_class t on t.oid = c.confrelid
join pg_class o on o.oid = c.conrelid
where c.contype = 'f' and t.relnamespace = 'public'::regnamespace
  and t.relname = any ($1::text[]) and o.relname <> all ($1::text[]);
