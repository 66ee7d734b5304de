-- $1: lock_timeout. The transaction waits while the cloud catches up; who uses it limits that.
select
  set_config('lock_timeout', $1::text, true),
  set_config('statement_timeout', '60s', true),
  set_config('idle_in_transaction_session_timeout', '0', true),
  case when current_setting('server_version_num')::int >= 170000
    then set_config('transaction_timeout', '0', true) end;
