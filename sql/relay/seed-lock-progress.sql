-- $1: slot
select p.state, (select count(*)::int from public.relay_ranges r where r.slot = p.slot and r.snapshot_lsn is null) as "open"
from public.relay_progress p
where p.slot = $1
for update of p;
