-- Who holds the advisory locks that make a command the only one of its kind in this database.
select k.lock as "lock", a.application_name as "name", a.pid as "pid", a.backend_start as "since",
  host(a.client_addr) as "address", a.pid = pg_backend_pid() as "own"
from (values
  ('ingest', hashtextextended('homeport ingest', 0)),
  ('monitor', hashtextextended('homeport monitor', 0)),
  ('setup', hashtext('homeport setup')::bigint),
  ('migrate', hashtext('homeport migrate')::bigint)
) as k (lock, key)
join pg_locks l on l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select oid from pg_database where datname = current_database())
  and (l.classid::bigint << 32) | l.objid::bigint = k.key
join pg_stat_activity a on a.pid = l.pid;
