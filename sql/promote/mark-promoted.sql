-- $1: slot, $2: the old primary's system identifier, $3: its timeline, $4: how far the cloud is by what it knows,
-- $5: message, $6: hint. A batch that is being applied is waited for; the next one finds another epoch.
insert into public.relay_progress (slot, system_identifier, timeline, commit_lsn, end_lsn, epoch, state,
  stop_code, stop_message, stop_hint)
values ($1, $2, $3::int, $4::pg_lsn, $4::pg_lsn, 1, 'promoted', 'PROMOTED', $5, $6)
on conflict (slot) do update
  set state = 'promoted', epoch = relay_progress.epoch + 1, holder = null, holder_name = null, holder_until = null,
    stop_code = excluded.stop_code, stop_message = excluded.stop_message, stop_hint = excluded.stop_hint,
    updated_at = clock_timestamp()
  where relay_progress.state <> 'promoted';
