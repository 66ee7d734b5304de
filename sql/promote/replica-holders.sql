-- Roles of relays and gateways (they may write their own record) that may still switch triggers and foreign keys off.
-- That right is the whole server's: a role that also has a place in another database keeps it.
select r.rolname::text as "role",
  has_parameter_privilege('session_replication_role', 'set with grant option') as "mayRevoke"
from pg_roles r
where not r.rolsuper and has_parameter_privilege(r.oid, 'session_replication_role', 'set')
  and exists (
    select from pg_class p
    cross join lateral aclexplode(p.relacl) w
    where p.oid = 'public.relay_progress'::regclass and w.grantee = r.oid and w.grantee <> p.relowner
      and w.privilege_type = 'UPDATE'
  )
  and not exists (
    select from pg_shdepend d
    where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid
      and d.dbid not in (0, (select oid from pg_database where datname = current_database()))
  )
order by r.rolname;
