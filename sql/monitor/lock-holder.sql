-- Who holds the lock of the monitor, and whether that is this very session.
select a.application_name as name, a.pid, a.backend_start as since, host(a.client_addr) as address,
  a.pid = pg_backend_pid() as own
from pg_locks l
join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select oid from pg_database where datname = current_database())
  and (l.classid::bigint << 32) | l.objid::bigint = hashtextextended('homeport monitor', 0)
limit 1
