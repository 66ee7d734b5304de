-- $1: names of tables. Checks, foreign keys and exclusions; unique ones are indexes.
select
  t.relname::text as "table",
  c.conname::text as "name",
  c.contype::text as "kind",
  pg_get_constraintdef(c.oid) as "definition"
from pg_constraint c
join pg_class t on t.oid = c.conrelid
where c.contype in ('c', 'f', 'x') and c.conparentid = 0
  and t.relnamespace = 'public'::regnamespace and t.relname = any ($1::text[])
order by t.relname, c.conname;
