-- What a slot keeps and may keep. $1: the slot. The folder is null for a role that may not see it.
select
  s.wal_status as "walStatus",
  to_jsonb(s) ->> 'invalidation_reason' as "invalidationReason",
  s.restart_lsn::text as "restartLsn",
  pg_current_wal_lsn()::text as "currentLsn",
  greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0)::text as "retainedBytes",
  s.safe_wal_size::text as "safeWalBytes",
  (select nullif(g.setting, '-1') from pg_settings g where g.name = 'max_slot_wal_keep_size') as "keepLimitMb",
  (select g.setting from pg_settings g where g.name = 'data_directory') as "dataDirectory",
  host(inet_server_addr()) as "serverAddress"
from pg_replication_slots s
where s.slot_name = $1;
