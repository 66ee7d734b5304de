-- $1: name of the slot, $2: a position of the primary's log
select coalesce(bool_or(confirmed_flush_lsn >= $2::pg_lsn), false) as "passed"
from pg_replication_slots
where slot_name = $1;
