-- One monitor for a primary: the lock is the session's, and ends with it.
select pg_try_advisory_lock(hashtextextended('homeport monitor', 0)) as held
