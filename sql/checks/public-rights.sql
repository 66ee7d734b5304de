-- What every role of this database may do that a reader has no use for.
select
  has_database_privilege('public', current_database(), 'temporary') as "temporary",
  has_database_privilege('public', current_database(), 'create') as "createInDatabase",
  has_schema_privilege('public', 'public', 'create') as "createInSchema",
  array(
    select p.oid::regprocedure::text
    from pg_proc p
    where p.pronamespace = 'pg_catalog'::regnamespace
      and p.proname in ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lo_unlink', 'lo_truncate',
        'lo_truncate64', 'lo_open', 'lowrite', 'lo_import', 'lo_export')
      and has_function_privilege('public', p.oid, 'execute')
    order by 1
  ) as "largeObjectWriters";
