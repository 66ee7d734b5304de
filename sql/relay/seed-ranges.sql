-- $1: slot
select r.table_name as "table", r.number, r.key_from as "from", r.key_to as "to",
  r.snapshot_lsn::text as "snapshotLsn", r.row_count::text as "rows"
from public.relay_ranges r
where r.slot = $1
order by r.table_name, r.number;
