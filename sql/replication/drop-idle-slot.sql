-- $1: name of the slot
select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1 and not active;
