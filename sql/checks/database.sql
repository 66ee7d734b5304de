select d.datname::text as "database", d.oid::text as "databaseOid" from pg_database d where d.datname = current_database();
