-- $1: slot, $2: who asks
select state, system_identifier as "systemIdentifier", timeline, holder, holder_name as "holderName", epoch::text as "epoch",
  to_char(held_since at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') as "since",
  coalesce(holder = $2 or holder_until < clock_timestamp(), true) as "isFree"
from public.relay_progress
where slot = $1;
