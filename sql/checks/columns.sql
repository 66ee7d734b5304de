-- $1: names of tables
select
  c.relname::text as "table",
  a.attname::text as "column",
  format_type(a.atttypid, a.atttypmod) as "type",
  t.typsend::oid::regproc::text as "send",
  t.typcategory = 'S' as "isText",
  a.attnotnull and not a.atthasdef and a.attidentity = '' as "required",
  a.attnotnull as "notNull",
  a.attgenerated <> '' or a.attidentity = 'a' as "generated",
  case a.attgenerated when '' then pg_get_expr(d.adbin, d.adrelid) end as "default"
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname = any ($1::text[])
order by c.relname, a.attnum;
