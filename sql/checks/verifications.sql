select table_name as "table", verdict, row_count::text as "rows", lsn::text as "lsn", checked_at as "checkedAt",
  full_at as "fullAt"
from verifications
order by table_name;
