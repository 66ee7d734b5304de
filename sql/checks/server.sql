select
  current_setting('server_version_num')::int as "versionNumber",
  current_setting('server_version') as "versionText",
  current_user::text as "role",
  current_database()::text as "database",
  (select oid::text from pg_database where datname = current_database()) as "databaseOid",
  current_setting('server_encoding') as "encoding",
  -- what a worker of a subscription begins with, where somebody has set it for this database or role
  (select substr(c, 17) from pg_db_role_setting s cross join lateral unnest(s.setconfig) c
    where c like 'client_encoding=%'
      and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
      and s.setrole in (0, (select oid from pg_roles where rolname = current_user))
    order by s.setdatabase <> 0 desc, s.setrole <> 0 desc
    limit 1) as "clientEncoding",
  extract(epoch from pg_postmaster_start_time())::text as "startedAt",
  pg_is_in_recovery() as "inRecovery",
  (select extversion from pg_extension where extname = 'vector') as "pgvector",
  (select n.nspname::text from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'vector') as "pgvectorSchema",
  (select default_version from pg_available_extensions where name = 'vector') as "pgvectorAvailable",
  current_setting('wal_level') as "walLevel",
  current_setting('max_replication_slots')::int as "maxSlots",
  (select count(*)::int from pg_replication_slots) as "usedSlots",
  current_setting('max_wal_senders')::int as "maxWalSenders",
  (select count(*)::int from pg_stat_replication) as "usedWalSenders",
  coalesce(current_setting('max_active_replication_origins', true), current_setting('max_replication_slots'))::int as "maxOrigins",
  (select count(*)::int from pg_replication_origin) as "usedOrigins",
  current_setting('max_logical_replication_workers')::int as "maxLogicalWorkers",
  (select count(*)::int from pg_stat_activity
    where backend_type like 'logical replication%worker') as "usedLogicalWorkers",
  current_setting('max_worker_processes')::int as "maxWorkerProcesses",
  current_setting('max_sync_workers_per_subscription')::int as "syncWorkers",
  current_setting('max_slot_wal_keep_size') as "slotWalKeepSize",
  current_setting('password_encryption') as "passwordEncryption",
  exists (select from pg_subscription s where s.subname = 'homeport'
    and s.subdbid = (select oid from pg_database where datname = current_database())) as "follows",
  exists (select from pg_publication p where p.pubname = 'homeport') as "publishes",
  r.rolsuper as "superuser",
  r.rolreplication as "replication",
  r.rolcreaterole as "createRole",
  case when to_regrole('pg_create_subscription') is null then false
    else pg_has_role(current_user, to_regrole('pg_create_subscription'), 'usage') end as "mayCreateSubscription",
  has_database_privilege(current_database(), 'create') as "mayCreateInDatabase",
  pg_has_role(current_user, (select datdba from pg_database where datname = current_database()), 'usage') as "ownsDatabase"
from pg_roles r
where r.rolname = current_user;
