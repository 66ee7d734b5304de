-- Who holds the lock of setups, copies and promotions.
select a.application_name as "name", a.pid as "pid", a.backend_start as "since", host(a.client_addr) as "address"
from pg_locks l
join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select oid from pg_database where datname = current_database())
  and (l.classid::bigint << 32) | l.objid::bigint = hashtext('homeport setup')
limit 1;
