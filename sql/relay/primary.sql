-- The primary as the relay finds it. $1: the slot, $2: the publication.
select
  current_setting('server_version_num')::int as "serverVersion",
  current_database()::text as "database",
  current_user::text as "role",
  pg_is_in_recovery() as "inRecovery",
  case when pg_is_in_recovery() then null
    -- the first eight digits of a log file's name are its timeline
    else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as "timeline",
  case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end::text as "walLsn",
  current_setting('wal_sender_timeout') as "walSenderTimeout",
  exists (select from pg_publication p where p.pubname = $2) as "publishes",
  (
    select json_build_object(
      'name', s.slot_name,
      'plugin', s.plugin,
      'database', s.database,
      'walStatus', s.wal_status,
      'confirmedLsn', s.confirmed_flush_lsn::text,
      'active', s.active,
      'holderPid', s.active_pid,
      -- null where this role may not see it; its own sessions it always may
      'holder', nullif(a.application_name, ''),
      'holderRole', a.usename,
      'holderAddress', host(a.client_addr),
      'holderSince', date_trunc('second', a.backend_start))
    from pg_replication_slots s
    left join pg_stat_activity a on a.pid = s.active_pid
    where s.slot_name = $1
  ) as "slot";
