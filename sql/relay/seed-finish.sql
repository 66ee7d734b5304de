-- $1: slot
update public.relay_progress
set state = 'following', stop_code = null, stop_message = null, stop_hint = null, updated_at = clock_timestamp()
where slot = $1
returning slot, system_identifier as "systemIdentifier", timeline, commit_lsn::text as "commitLsn",
  end_lsn::text as "endLsn", sequence::text as "sequence", epoch::text as "epoch", state;
