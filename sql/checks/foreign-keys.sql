-- $1: names of tables. The foreign keys between them.
select t.relname::text as "table", c.conname::text as "name", pg_get_constraintdef(c.oid) as "definition"
from pg_constraint c
join pg_class t on t.oid = c.conrelid
join pg_class o on o.oid = c.confrelid
where c.contype = 'f' and c.conparentid = 0
  and t.relnamespace = 'public'::regnamespace and t.relname = any ($1::text[])
  and o.relnamespace = 'public'::regnamespace and o.relname = any ($1::text[])
order by t.relname, c.conname;
