-- Held by who migrates a database, until the end of the transaction.
select pg_try_advisory_xact_lock(hashtext('homeport migrate')) as "taken";
