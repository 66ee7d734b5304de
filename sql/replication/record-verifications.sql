-- arrays, one element a table: $1 names, $2 verdicts, $3 rows on the primary, $4 whether every row was compared;
-- $5 the primary's position; $6 all published tables; $7 the cloud, null where it does not say which it is
with recorded as (
  insert into verifications (table_name, verdict, row_count, lsn, checked_at, full_at, cloud)
  select v.name, v.verdict, v.rows, $5::pg_lsn, clock_timestamp(),
    case when v.is_full and v.verdict = 'match' then clock_timestamp() end,
    $7::text
  from unnest($1::text[], $2::text[], $3::bigint[], $4::boolean[]) as v (name, verdict, rows, is_full)
  on conflict (table_name) do update
    set verdict = excluded.verdict, row_count = excluded.row_count, lsn = excluded.lsn,
      checked_at = excluded.checked_at, cloud = excluded.cloud,
      -- what was proven of another cloud, or nobody knows of which, says nothing
      full_at = coalesce(
        excluded.full_at,
        case when excluded.cloud is not distinct from verifications.cloud then verifications.full_at end
      )
)
delete from verifications where table_name <> all ($6::text[]);
