-- What a new slot has to wait for: transactions that wrote and are still open.
select a.pid, extract(epoch from clock_timestamp() - a.xact_start)::float8 as "openSeconds"
from pg_stat_activity a
where a.backend_xid is not null and a.pid <> pg_backend_pid()
order by a.xact_start
limit 5;
