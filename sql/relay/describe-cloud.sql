select
  (select system_identifier::text from pg_control_system()) as "systemIdentifier",
  current_setting('server_version_num')::int as "serverVersion",
  current_database()::text as "database",
  current_setting('synchronous_commit') as "synchronousCommit",
  pg_is_in_recovery() or current_setting('transaction_read_only') = 'on' as "isReadOnly",
  to_regclass('public.relay_progress') is not null as "hasRelay";
