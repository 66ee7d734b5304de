-- What the slot sends. $1: the publication.
select
  c.relname::text as "table",
  a.attname::text as "column",
  format_type(a.atttypid, a.atttypmod) as "type"
from pg_publication_tables p
join pg_class c on c.relname = p.tablename
join pg_namespace n on n.oid = c.relnamespace and n.nspname = p.schemaname
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
where p.pubname = $1 and a.attname = any (p.attnames)
order by c.relname, a.attnum;
