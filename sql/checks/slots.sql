-- Our slots of this database: $1 is the start of their names.
select
  s.slot_name::text as "name",
  s.active,
  s.active_pid as "activePid",
  s.wal_status as "walStatus",
  s.safe_wal_size::text as "safeWalBytes",
  s.confirmed_flush_lsn::text as "confirmedLsn",
  pg_current_wal_lsn()::text as "currentLsn",
  greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0)::text as "retainedBytes",
  greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), s.confirmed_flush_lsn), 0)::text as "lagBytes"
from pg_replication_slots s
where s.plugin = 'pgoutput' and s.database = current_database() and starts_with(s.slot_name, $1)
order by s.slot_name;
