-- For this transaction; which of them exist depends on the version.
select set_config(s.name, '0', true)
from pg_settings s
where s.name in ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout');
