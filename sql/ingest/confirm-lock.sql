-- Always true in the session that holds the lock; in another (a connection that was lost and opened
-- again) only when nobody else took it meanwhile.
select pg_try_advisory_xact_lock(hashtextextended('homeport ingest', 0)) as held
