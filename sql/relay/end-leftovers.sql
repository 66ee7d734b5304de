-- Ends sessions of this role that apply batches of a slot. $1: their application_name
select count(pg_terminate_backend(a.pid))
from pg_stat_activity a
where a.application_name = $1 and a.pid <> pg_backend_pid()
  and a.datname = current_database() and a.usename = current_user;
