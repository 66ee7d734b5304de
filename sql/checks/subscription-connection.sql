-- $1: name of the subscription; only a superuser may read this
select s.subconninfo as "connection"
from pg_subscription s
where s.subname = $1
  and s.subdbid = (select oid from pg_database where datname = current_database());
