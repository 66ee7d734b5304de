-- $1: name of a role
select
  r.oid::text as "oid",
  r.rolsuper as "superuser",
  r.rolreplication as "replication",
  r.rolcreaterole as "createRole",
  r.rolcreatedb as "createDatabase",
  r.rolbypassrls as "bypassRowSecurity",
  r.rolcanlogin as "login",
  -- from 16 on, who may create roles alters only those that it has the admin option on
  (select u.rolsuper or (u.rolcreaterole and case
      when current_setting('server_version_num')::int < 160000 then not (r.rolsuper or r.rolreplication)
      else exists (select from pg_auth_members m
        where m.roleid = r.oid and m.admin_option and pg_has_role(current_user, m.member, 'usage'))
    end)
    from pg_roles u where u.rolname = current_user) as "mayAlter",
  r.rolconnlimit as "connectionLimit",
  coalesce((select setconfig from pg_db_role_setting where setrole = r.oid and setdatabase = 0), '{}') as "settings",
  coalesce((select setconfig from pg_db_role_setting where setrole = r.oid and setdatabase =
    (select oid from pg_database where datname = current_database())), '{}') as "databaseSettings",
  array(select b.rolname::text from pg_auth_members m join pg_roles b on b.oid = m.roleid where m.member = r.oid) as "memberOf",
  (select count(*)::int from pg_shdepend d where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid and d.deptype = 'o') as "owns"
from pg_roles r
where r.rolname = $1;
