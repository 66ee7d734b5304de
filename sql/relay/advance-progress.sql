-- $1: slot, $2: start of the last commit record of a transaction that changed something, $3: everything that ended here or before is in this database now.
-- Without such a transaction both are the same, and the last one stays the one that it was.
update public.relay_progress
set commit_lsn = case when $2::pg_lsn = $3::pg_lsn then commit_lsn else $2::pg_lsn end, end_lsn = $3::pg_lsn, sequence = sequence + 1,
  holder_until = clock_timestamp() + make_interval(secs => lease_seconds), updated_at = clock_timestamp()
where slot = $1
returning slot, system_identifier as "systemIdentifier", timeline, commit_lsn as "commitLsn",
  end_lsn as "endLsn", sequence, epoch, state;
