select pg_try_advisory_lock(hashtextextended('homeport ingest', 0)) as held
