-- No limit of the server ends this session while it waits; some of the settings came with newer versions.
select set_config(s.name, '0', false)
from pg_settings s
where s.name in ('statement_timeout', 'lock_timeout', 'idle_session_timeout', 'transaction_timeout',
  'idle_in_transaction_session_timeout');
