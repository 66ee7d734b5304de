-- $1: name of a table. Every transaction before xmin had ended when this snapshot was taken. The layout is null where
-- rows may come, go or change without being written: from children, behind row security, in another storage. Else it is
-- another one once the table was made, emptied, rewritten or altered.
select
  pg_snapshot_xmin(pg_current_snapshot())::text as "xmin",
  extract(epoch from pg_postmaster_start_time())::text as "startedAt",
  substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) as "timeline",
  d.oid::text as "databaseOid",
  case when c.relkind = 'r' and m.amname = 'heap' and not row_security_active(c.oid)
    and not exists (select from pg_inherits i where i.inhparent = c.oid) then
    concat_ws(' ', c.oid, c.relfilenode,
      (select string_agg(concat_ws(':', a.attnum, a.attname, a.xmin), ' ' order by a.attnum)
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0),
      (select e.extversion from pg_extension e where e.extname = 'vector'))
  end as "layout"
from pg_class c
join pg_am m on m.oid = c.relam
join pg_database d on d.datname = current_database()
where c.relnamespace = 'public'::regnamespace and c.relname = $1;
