-- Ends what is left of an earlier connection of ours that still holds the slot. $1: the slot, $2: the process that was seen.
select pg_terminate_backend(s.active_pid) as "ended"
from pg_replication_slots s
where s.slot_name = $1 and s.active_pid = $2;
