-- $1: names of tables
select
  t.relname::text as "table",
  g.tgname::text as "name",
  g.tgenabled::text as "enabled",
  pg_get_triggerdef(g.oid) as "definition"
from pg_trigger g
join pg_class t on t.oid = g.tgrelid
where not g.tgisinternal and t.relnamespace = 'public'::regnamespace and t.relname = any ($1::text[])
order by t.relname, g.tgname;
