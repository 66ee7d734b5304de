-- Who asks ingest to wait. A slot that is gone or lost holds no log back any more.
select p.slot, p.reason, p.asked_at
from ingest_pause p
join pg_replication_slots s on s.slot_name = p.slot and s.wal_status is distinct from 'lost'
where coalesce(current_setting('homeport.ignores_pause', true), '') <> 'on'
order by p.asked_at
limit 1
