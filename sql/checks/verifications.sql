-- $1: the cloud in question; null for any. A verdict that names no cloud is about the only one there was.
select table_name as "table", verdict, row_count::text as "rows", lsn::text as "lsn", checked_at as "checkedAt",
  full_at as "fullAt"
from verifications
where $1::text is null or coalesce(cloud, $1) = $1
order by table_name;
