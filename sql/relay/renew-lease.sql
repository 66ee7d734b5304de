-- $1: slot, $2: epoch, $3: holder. Nothing where a batch is being applied: its end holds the lease for another while.
update public.relay_progress
set holder_until = clock_timestamp() + make_interval(secs => lease_seconds)
where slot = (select slot from public.relay_progress where slot = $1 for update skip locked)
  and epoch = $2::int8 and holder = $3;
