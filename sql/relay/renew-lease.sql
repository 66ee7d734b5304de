-- $1: slot, $2: epoch, $3: holder
update public.relay_progress
set holder_until = clock_timestamp() + make_interval(secs => lease_seconds)
where slot = $1 and epoch = $2::int8 and holder = $3;
