-- Where the next record of the log will begin: every commit that anybody can know of lies before it.
select pg_current_wal_insert_lsn()::text as "lsn";
