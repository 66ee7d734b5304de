select pg_try_advisory_lock(hashtext('homeport setup')) as "taken";
