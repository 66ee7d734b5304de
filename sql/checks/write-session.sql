select
  current_setting('synchronous_commit') as "synchronousCommit",
  current_setting('transaction_read_only') as "readOnly",
  pg_backend_pid() as "pid";
