-- $1: names of tables. Those that take no writes any more.
select c.relname::text as "table"
from pg_trigger g
join pg_class c on c.oid = g.tgrelid
where g.tgname = 'homeport_fence' and g.tgenabled = 'A'
  and c.relnamespace = 'public'::regnamespace and c.relname = any ($1::text[])
order by c.relname;
