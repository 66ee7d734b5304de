-- $1: slot, $2: table, $3: number
select r.row_count::text as "rows", r.snapshot_lsn is not null as "isDone", p.state = 'seeding' as "isSeeding"
from public.relay_ranges r
join public.relay_progress p on p.slot = r.slot
where r.slot = $1 and r.table_name = $2 and r.number = $3
for update of r;
