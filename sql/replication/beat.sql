insert into heartbeat (id, beat, beat_at, lsn)
values (1, 1, clock_timestamp(), pg_current_wal_lsn())
on conflict (id) do update
  set beat = heartbeat.beat + 1, beat_at = excluded.beat_at, lsn = excluded.lsn
returning beat::text as "beat", beat_at as "beatAt", lsn::text as "lsn";
