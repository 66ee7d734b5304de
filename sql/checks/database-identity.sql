-- Names one database among all servers; a physical copy of its server keeps the name.
select c.system_identifier || '/' || d.oid as "identity"
from pg_control_system() c, pg_catalog.pg_database d
where d.datname = current_database()
