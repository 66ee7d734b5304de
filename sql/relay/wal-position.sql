-- How far the primary's log is flushed.
select pg_current_wal_flush_lsn()::text as "walLsn";
