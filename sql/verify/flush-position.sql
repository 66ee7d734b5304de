-- Up to here the log survives a crash.
select pg_current_wal_flush_lsn()::text as "lsn", current_setting('wal_block_size')::int as "pageBytes";
