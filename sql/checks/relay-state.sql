-- What the relay has written down in the cloud, for every slot: mostly one.
select
  p.slot,
  p.system_identifier as "systemIdentifier",
  p.timeline,
  p.commit_lsn::text as "commitLsn",
  p.end_lsn::text as "endLsn",
  p.sequence::text as "sequence",
  p.epoch::text as "epoch",
  p.state,
  p.stop_code as "stopCode",
  p.stop_message as "stopMessage",
  p.stop_hint as "stopHint",
  p.holder_name as "holderName",
  p.held_since as "heldSince",
  p.holder_until as "holderUntil",
  coalesce(p.holder_until > clock_timestamp(), false) as "isHeld",
  p.updated_at as "updatedAt",
  (select json_build_object('all', count(*), 'copied', count(r.snapshot_lsn),
      'rows', coalesce(sum(r.row_count), 0), 'tables', coalesce(json_agg(distinct r.table_name), '[]'))
    from public.relay_ranges r where r.slot = p.slot) as "ranges",
  (select count(*)::int from public.relay_conflicts c where c.slot = p.slot) as "conflicts",
  coalesce((
    select json_agg(json_build_object('table', q.table_name, 'rows', q.rows) order by q.table_name)
    from (
      select table_name, count(*)::int as rows
      from public.relay_quarantine
      where slot = p.slot and resolved_at is null
      group by table_name
    ) q), '[]') as "quarantined"
from public.relay_progress p
order by p.slot;
