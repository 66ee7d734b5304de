-- $1: xmin of an earlier snapshot. The rows of a range, and those among them that it may not have seen: age() counts
-- from one point in all of a transaction, so an older xid has the greater age.
select
  {{bucket}} as "bucket",
  count(*)::text as "rows",
  count(*) filter (where age(t.xmin) <= age($1::xid))::text as "written"
from public.{{table}} t
where {{condition}}
