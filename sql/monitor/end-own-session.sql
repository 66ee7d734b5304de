-- Ends a session of ours whose connection broke without the server's noticing. $1: pid, $2: its start, so that
-- nobody who got the same number later is hit.
select pg_terminate_backend(pid) as ended
from pg_stat_activity
where pid = $1::int and date_trunc('milliseconds', backend_start) = $2::timestamptz
