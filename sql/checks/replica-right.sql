-- $1: names of roles. Who may switch foreign keys and triggers off while rows of another server are written.
select
  has_parameter_privilege('session_replication_role', 'set with grant option') as "mayGrant",
  array(
    select r.rolname::text from pg_roles r
    where r.rolname = any ($1::text[]) and has_parameter_privilege(r.oid, 'session_replication_role', 'set')
  ) as "holders";
