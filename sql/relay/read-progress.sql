-- $1: slot
select slot, system_identifier as "systemIdentifier", timeline, commit_lsn::text as "commitLsn",
  end_lsn::text as "endLsn", sequence::text as "sequence", epoch::text as "epoch", state
from public.relay_progress
where slot = $1;
