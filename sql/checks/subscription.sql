-- $1: name of the subscription in this database
select
  s.oid::text as "oid",
  s.subenabled as "enabled",
  s.subbinary as "binary",
  s.substream::text as "streaming",
  s.subdisableonerr as "disableOnError",
  s.subslotname::text as "slot",
  s.subpublications as "publications"
from pg_subscription s
where s.subname = $1
  and s.subdbid = (select oid from pg_database where datname = current_database());
