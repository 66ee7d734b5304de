-- $1: names of tables. Roles of relays and gateways (they may write their own record) that may still write content.
select r.rolname::text as "role", array_agg(distinct c.relname::text order by c.relname::text) as "tables"
from pg_class c
cross join lateral aclexplode(c.relacl) g
join pg_roles r on r.oid = g.grantee
where c.relnamespace = 'public'::regnamespace and c.relname = any ($1::text[]) and g.grantee <> c.relowner
  and g.privilege_type in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
  and exists (
    select from pg_class p
    cross join lateral aclexplode(p.relacl) w
    where p.oid = 'public.relay_progress'::regclass and w.grantee = g.grantee and w.grantee <> p.relowner
      and w.privilege_type = 'UPDATE'
  )
group by r.rolname
order by r.rolname;
