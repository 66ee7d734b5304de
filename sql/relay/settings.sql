-- For this transaction, whatever role, database or pooler say.
-- $1: lock_timeout, $2: statement_timeout, $3: application_name, which only sessions that apply this slot's batches have.
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
  -- a run of rows finds each by the key's index, as one row does, and not by reading a whole table, which the
  -- dead rows of this very transaction have made longer than the planner knows
  set_config('enable_hashjoin', 'off', true),
  set_config('enable_mergejoin', 'off', true),
  set_config('lock_timeout', $1::text, true),
  set_config('statement_timeout', $2::text, true),
  set_config('idle_in_transaction_session_timeout', '120s', true),
  -- the setting came with 17
  case when current_setting('server_version_num')::int >= 170000
    then set_config('transaction_timeout', '0', true) end,
  -- a session whose relay is gone without a word ends within half a minute, and its locks with it
  set_config('tcp_keepalives_idle', '10', true),
  set_config('tcp_keepalives_interval', '5', true),
  set_config('tcp_keepalives_count', '3', true),
  set_config('tcp_user_timeout', '60s', true),
  set_config('application_name', $3::text, true),
  -- and at once when the relay is back before that: one batch of a slot is applied at a time
  (select count(pg_terminate_backend(a.pid))
    from pg_stat_activity a
    where a.application_name = $3::text and a.pid <> pg_backend_pid()
      and a.datname = current_database() and a.usename = current_user);
