-- What a new slot has to wait for: transactions that wrote and are still open, as far as this role may see.
select x.what, x.remedy, extract(epoch from clock_timestamp() - x.since)::float8 as "openSeconds"
from (
  select 'process ' || a.pid as what, format('select pg_terminate_backend(%s)', a.pid) as remedy, a.xact_start as since
  from pg_stat_activity a
  where a.backend_xid is not null and a.pid <> pg_backend_pid()
  union all
  select 'prepared transaction ' || p.gid, format('rollback prepared %L', p.gid), p.prepared
  from pg_prepared_xacts p
) x
order by x.since
limit 5;
