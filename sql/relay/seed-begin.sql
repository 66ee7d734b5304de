-- $1: slot, $2: system identifier, $3: timeline, $4: commit position, $5: end position
insert into public.relay_progress (slot, system_identifier, timeline, commit_lsn, end_lsn, state)
values ($1, $2, $3, $4::pg_lsn, $5::pg_lsn, 'seeding')
on conflict (slot) do update
  set system_identifier = excluded.system_identifier, timeline = excluded.timeline,
    commit_lsn = excluded.commit_lsn, end_lsn = excluded.end_lsn, state = 'seeding',
    stop_code = null, stop_message = null, stop_hint = null, updated_at = clock_timestamp()
  where relay_progress.state <> 'promoted';
