-- $1: slot. Tables whose copy is younger than the progress are in "settled", with the position
-- of the last range of the copy, and in "copied", with that of the first.
select p.slot, p.system_identifier as "systemIdentifier", p.timeline, p.commit_lsn as "commitLsn",
  p.end_lsn as "endLsn", p.sequence, p.epoch, p.state, p.holder, p.holder_name as "holderName",
  (select json_object_agg(t.table_name, t.settled_lsn)
    from public.relay_tables t where t.slot = p.slot and t.settled_lsn > p.end_lsn) as "settled",
  (select json_object_agg(t.table_name, t.copied_lsn)
    from public.relay_tables t where t.slot = p.slot and t.settled_lsn > p.end_lsn) as "copied"
from public.relay_progress p
where p.slot = $1
for update of p;
