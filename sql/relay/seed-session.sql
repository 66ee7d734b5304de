-- For this transaction: rows as they come, without triggers and foreign keys where the role may say so, and on disk before it says done.
select
  set_config('homeport.applying', 'on', true),
  set_config('synchronous_commit', 'on', true),
  set_config('statement_timeout', '0', true),
  set_config('lock_timeout', '60s', true),
  set_config('idle_in_transaction_session_timeout', '0', true),
  case when has_parameter_privilege('session_replication_role', 'set')
    then set_config('session_replication_role', 'replica', true) end;
