-- For this transaction, whatever role, database or pooler say. $1: lock_timeout, $2: statement_timeout.
select
  -- triggers leave rows alone that come from the primary
  set_config('homeport.applying', 'on', true),
  case when has_parameter_privilege('session_replication_role', 'set')
    then set_config('session_replication_role', 'replica', true) end,
  -- what is acknowledged must survive a crash
  set_config('synchronous_commit',
    case current_setting('synchronous_commit') when 'remote_apply' then 'remote_apply' else 'on' end, true),
  -- values come as bytes of this encoding
  set_config('client_encoding', 'UTF8', true),
  -- a row that a policy hides is an error, not a row that is missing
  set_config('row_security', 'off', true),
  set_config('lock_timeout', $1::text, true),
  set_config('statement_timeout', $2::text, true),
  set_config('idle_in_transaction_session_timeout', '120s', true),
  -- the setting came with 17
  case when current_setting('server_version_num')::int >= 170000
    then set_config('transaction_timeout', '0', true) end;
