-- For this transaction; the setting came with 17.
select set_config(s.name, '0', true) from pg_settings s where s.name = 'transaction_timeout';
