-- $1: slot, $2: holder, $3: its name for a person, $4: seconds, $5: system identifier, $6: timeline.
-- A relay that starts ends whatever stopped the one before it, but never a promotion. Where a batch is being applied, an error at once.
with locked as materialized (
  select slot from public.relay_progress where slot = $1 for update nowait
)
update public.relay_progress p
set epoch = epoch + 1, holder = $2, holder_name = $3, held_since = clock_timestamp(), lease_seconds = $4::int,
  holder_until = clock_timestamp() + make_interval(secs => $4::int),
  state = case state when 'stopped' then 'following' else state end,
  stop_code = null, stop_message = null, stop_hint = null, updated_at = clock_timestamp()
from locked
where p.slot = locked.slot and state <> 'promoted' and system_identifier = $5 and timeline = $6::int
  and (holder is null or holder = $2 or holder_until is null or holder_until < clock_timestamp())
returning p.slot, system_identifier as "systemIdentifier", timeline, commit_lsn::text as "commitLsn",
  end_lsn::text as "endLsn", sequence::text as "sequence", epoch::text as "epoch", state;
