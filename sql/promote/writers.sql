-- $1: names of tables. Other sessions that have written to them and have not ended their transaction.
select a.pid, coalesce(nullif(a.application_name, ''), a.usename::text, 'unknown') as "name",
  extract(epoch from clock_timestamp() - a.xact_start)::float8 as "openSeconds"
from pg_stat_activity a
where a.pid <> pg_backend_pid() and a.datname = current_database() and exists (
  select from pg_locks l
  where l.pid = a.pid and l.granted and l.locktype = 'relation'
    and l.mode in ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    and l.relation = any (select to_regclass('public.' || quote_ident(t)) from unnest($1::text[]) as t)
)
order by a.xact_start;
