-- $1: milliseconds. Sessions of others that have used tables of ours for that long, in a transaction that is open.
select a.pid, coalesce(nullif(a.application_name, ''), a.usename::text, 'unknown') as "name",
  extract(epoch from clock_timestamp() - a.xact_start)::float8 as "openSeconds"
from pg_stat_activity a
where a.pid <> pg_backend_pid() and a.datname = current_database() and a.application_name <> 'homeport migrate'
  and clock_timestamp() - a.xact_start >= make_interval(secs => $1::float8 / 1000)
  and exists (
    select from pg_locks l
    join pg_class c on c.oid = l.relation
    where l.pid = a.pid and l.granted and l.locktype = 'relation' and c.relnamespace = 'public'::regnamespace
  )
order by a.xact_start
limit 3;
