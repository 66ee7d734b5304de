-- $1: names of tables. Every valid index: what it is over, apart from its name.
select
  t.relname::text as "table",
  x.relname::text as "name",
  i.indisunique as "unique",
  i.indisprimary as "primary",
  k.conname is not null as "isConstraint",
  regexp_replace(pg_get_indexdef(i.indexrelid), '^.*? USING ', '') as "over",
  pg_get_indexdef(i.indexrelid) as "definition"
from pg_index i
join pg_class t on t.oid = i.indrelid
join pg_class x on x.oid = i.indexrelid
left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
where i.indisvalid and t.relnamespace = 'public'::regnamespace and t.relname = any ($1::text[])
order by t.relname, x.relname;
