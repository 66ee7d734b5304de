-- $1: name of the subscription
select
  c.relname::text as "table",
  r.srsubstate::text as "state",
  coalesce(p.tuples_processed, 0)::text as "copiedRows"
from pg_subscription_rel r
join pg_subscription s on s.oid = r.srsubid
join pg_class c on c.oid = r.srrelid
left join pg_stat_progress_copy p on p.relid = r.srrelid and p.datname = current_database()
where s.subname = $1
  and s.subdbid = (select oid from pg_database where datname = current_database())
order by c.relname;
