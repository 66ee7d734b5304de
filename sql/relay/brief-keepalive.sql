-- A machine that has gone keeps its locks for a minute, not for the two hours that a system takes by default.
select set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false),
  set_config('tcp_keepalives_count', '3', false);
