-- Also where session_replication_role says replica.
alter table public.{{table}} enable always trigger homeport_fence;
