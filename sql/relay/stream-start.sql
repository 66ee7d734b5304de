-- What a stream must know before it begins. A walsender takes no parameters: {{slot}} is a literal.
select
  current_setting('server_version_num')::int as "serverVersion",
  (select setting::int from pg_settings where name = 'wal_sender_timeout') as "walSenderTimeoutMs",
  current_database()::text as "database",
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
    where s.slot_name = {{slot}}
  ) as "slot"
