-- $1: the cloud in question; null for any. A verdict that names no cloud is about the only one there was.
select table_name as "table", verdict, row_count::text as "rows", checked_at as "checkedAt", full_at as "fullAt"
from verifications v
where $1::text is null or coalesce(to_jsonb(v) ->> 'cloud', $1) = $1
order by table_name;
