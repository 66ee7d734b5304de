-- $1: name of a role
select
  r.oid::text as "oid",
  r.rolsuper as "superuser",
  r.rolreplication as "replication",
  r.rolcreaterole as "createRole",
  r.rolcreatedb as "createDatabase",
  r.rolbypassrls as "bypassRowSecurity",
  r.rolcanlogin as "login",
  r.rolconnlimit as "connectionLimit",
  coalesce((select setconfig from pg_db_role_setting where setrole = r.oid and setdatabase = 0), '{}') as "settings",
  array(select b.rolname::text from pg_auth_members m join pg_roles b on b.oid = m.roleid where m.member = r.oid) as "memberOf",
  (select count(*)::int from pg_shdepend d where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid and d.deptype = 'o') as "owns"
from pg_roles r
where r.rolname = $1;
