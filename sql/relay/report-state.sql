-- $1: slot, $2: epoch, $3: holder, $4: state, $5: code, $6: message, $7: hint of what stopped it.
-- Only the end of the copy ends its state, and a relay that stops lets go of its lease.
update public.relay_progress
set state = case when state = 'seeding' or $4 = 'seeding' then state else $4 end,
  stop_code = $5, stop_message = $6, stop_hint = $7, updated_at = clock_timestamp(),
  holder_until = case when $4 = 'stopped' then clock_timestamp() else holder_until end
where slot = $1 and epoch = $2::int8 and holder = $3;
