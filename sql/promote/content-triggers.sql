-- $1: names of tables. Our triggers, and whether they fire for an ordinary session.
select c.relname::text as "table", g.tgname::text as "trigger", g.tgenabled in ('O', 'A') as "fires"
from pg_trigger g
join pg_class c on c.oid = g.tgrelid
where not g.tgisinternal and c.relnamespace = 'public'::regnamespace and c.relname = any ($1::text[])
order by c.relname, g.tgname;
