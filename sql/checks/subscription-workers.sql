-- $1: name of the subscription
select
  (select w.pid from pg_stat_subscription w where w.subid = s.oid and w.relid is null limit 1) as "applyPid",
  (select w.received_lsn::text from pg_stat_subscription w where w.subid = s.oid and w.relid is null limit 1) as "receivedLsn",
  (select extract(epoch from clock_timestamp() - w.last_msg_receipt_time)::float8
    from pg_stat_subscription w where w.subid = s.oid and w.relid is null limit 1) as "silentSeconds",
  coalesce(e.apply_error_count, 0)::int as "applyErrors",
  coalesce(e.sync_error_count, 0)::int as "syncErrors"
from pg_subscription s
left join pg_stat_subscription_stats e on e.subid = s.oid
where s.subname = $1
  and s.subdbid = (select oid from pg_database where datname = current_database())
limit 1;
