select p.slot, p.state, p.stop_code as "stopCode", p.stop_message as "stopMessage", p.stop_hint as "stopHint",
  p.end_lsn::text as "endLsn", p.sequence::text as "sequence", p.epoch::text as "epoch",
  p.holder_name as "holder", p.holder_until as "holderUntil", p.updated_at as "updatedAt",
  coalesce(p.holder_until > clock_timestamp(), false) as "isHeld",
  (select count(*)::integer from relay_quarantine q where q.slot = p.slot and q.resolved_at is null)
    as "quarantined",
  (select extract(epoch from clock_timestamp() - h.beat_at)::float8 from heartbeat h where h.id = 1)
    as "lagSeconds"
from relay_progress p
order by p.slot;
