-- Everything this session's role could write with: on its own, or through any role it is a member of.
with roles as (
  select oid, rolname, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls
  from pg_roles
  where pg_has_role(current_user, oid, 'member')
),
powers (power, object) as (
  select attribute.name, null::text
  from
    roles,
    lateral (
      values
        ('superuser', rolsuper),
        ('createdb', rolcreatedb),
        ('createrole', rolcreaterole),
        ('replication', rolreplication),
        ('bypassrls', rolbypassrls)
    ) as attribute (name, held)
  where attribute.held
  union all
  select 'membership', format('%I', rolname)
  from roles
  where rolname in (
    'pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program', 'pg_database_owner',
    'pg_create_subscription', 'pg_maintain'
  )
  union all
  select lower(privilege), format('%I.%I', n.nspname, c.relname)
  from roles
  cross join pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  cross join (values ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE')) as wanted (privilege)
  where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
    and (
      has_table_privilege(roles.oid, c.oid, privilege)
      or (privilege in ('INSERT', 'UPDATE') and has_any_column_privilege(roles.oid, c.oid, privilege))
    )
  union all
  select 'sequence', format('%I.%I', n.nspname, c.relname)
  from roles
  cross join pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'S' and has_sequence_privilege(roles.oid, c.oid, 'USAGE, UPDATE')
  union all
  select 'schema-create', format('%I', nspname)
  from roles cross join pg_namespace
  where nspname !~ '^pg_(toast|temp)' and has_schema_privilege(roles.oid, pg_namespace.oid, 'CREATE')
  union all
  select 'database-create', format('%I', current_database())
  from roles
  where has_database_privilege(roles.oid, current_database(), 'CREATE')
  union all
  select 'temporary', format('%I', current_database())
  from roles
  where has_database_privilege(roles.oid, current_database(), 'TEMPORARY')
  union all
  -- Open to everybody by default; only a superuser can close them, and managed databases have none to lend.
  select
    case
      when p.proacl is null or exists (select from aclexplode(p.proacl) where grantee = 0) then 'open-large-object'
      else 'large-object'
    end,
    p.proname::text
  from roles
  cross join pg_proc p
  where p.pronamespace = 'pg_catalog'::regnamespace
    and p.proname in (
      'lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lo_import', 'lo_export', 'lo_truncate',
      'lo_truncate64', 'lo_unlink', 'lowrite'
    )
    and has_function_privilege(roles.oid, p.oid, 'EXECUTE')
),
found as (
  select power, coalesce(array_agg(distinct object) filter (where object is not null), '{}') as objects
  from powers
  group by power
)
select
  current_user::text as role,
  coalesce((select json_agg(row_to_json(found) order by power) from found), '[]'::json) as powers
