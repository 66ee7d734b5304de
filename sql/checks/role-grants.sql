-- $1: name of a role. What was granted to it by name in this database, less what pg_catalog gives everybody.
select 'table' as "kind", array[n.nspname, c.relname]::text[] as "path", g.privilege_type::text as "privilege"
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
cross join lateral aclexplode(c.relacl) g
where g.grantee = to_regrole(quote_ident($1)) and c.relkind <> 'S' and c.relowner <> g.grantee
union all
select 'sequence', array[n.nspname, c.relname]::text[], g.privilege_type::text
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
cross join lateral aclexplode(c.relacl) g
where g.grantee = to_regrole(quote_ident($1)) and c.relkind = 'S' and c.relowner <> g.grantee
union all
select 'schema', array[n.nspname]::text[], g.privilege_type::text
from pg_namespace n
cross join lateral aclexplode(n.nspacl) g
where g.grantee = to_regrole(quote_ident($1)) and n.nspowner <> g.grantee
union all
select 'database', array[d.datname]::text[], g.privilege_type::text
from pg_database d
cross join lateral aclexplode(d.datacl) g
where d.datname = current_database() and g.grantee = to_regrole(quote_ident($1)) and d.datdba <> g.grantee
union all
select 'parameter', array[a.parname]::text[], g.privilege_type::text
from pg_parameter_acl a
cross join lateral aclexplode(a.paracl) g
where g.grantee = to_regrole(quote_ident($1));
