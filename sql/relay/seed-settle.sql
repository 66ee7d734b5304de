-- $1: slot. Tables whose copy is younger than the position from which the stream goes on.
insert into public.relay_tables (slot, table_name, settled_lsn, copied_lsn)
select r.slot, r.table_name, max(r.snapshot_lsn), min(r.snapshot_lsn)
from public.relay_ranges r
join public.relay_progress p on p.slot = r.slot
where r.slot = $1
group by r.slot, r.table_name, p.end_lsn
having max(r.snapshot_lsn) > p.end_lsn
on conflict (slot, table_name) do update
  set settled_lsn = greatest(relay_tables.settled_lsn, excluded.settled_lsn),
    copied_lsn = excluded.copied_lsn;
