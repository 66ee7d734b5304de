-- $1: slot, $2: a position of the primary's log
select coalesce(bool_or(end_lsn >= $2::pg_lsn), false) as "passed"
from public.relay_progress
where slot = $1;
