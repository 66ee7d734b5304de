-- How old and how verified the cloud is: a few rows, asked every second or two. $1: this database, null where it is not
-- known; a verdict that names no cloud is about the only one there was.
select
  (select beat_at from heartbeat where id = 1) as beat_at,
  coalesce(
    (
      select json_agg(
        json_build_object(
          'table', table_name, 'verdict', verdict, 'rows', row_count::text, 'at', checked_at, -- by way of jsonb: null where the column is not there yet
          'fullAt', to_jsonb(v) ->> 'full_at'
        )
        order by table_name
      )
      from verifications v
      where $1::text is null or coalesce(to_jsonb(v) ->> 'cloud', $1) = $1
    ),
    '[]'::json
  ) as verifications
