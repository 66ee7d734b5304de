-- arrays, one element a table: $1 names, $2 verdicts, $3 rows on the primary; $4 the primary's position
with recorded as (
  insert into verifications (table_name, verdict, row_count, lsn, checked_at)
  select v.name, v.verdict, v.rows, $4::pg_lsn, clock_timestamp()
  from unnest($1::text[], $2::text[], $3::bigint[]) as v (name, verdict, rows)
  on conflict (table_name) do update
    set verdict = excluded.verdict, row_count = excluded.row_count, lsn = excluded.lsn, checked_at = excluded.checked_at
)
delete from verifications where table_name <> all ($5::text[]);
