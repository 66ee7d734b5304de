-- What the in-memory index compares itself with, in one row: counts and sums of change sequence numbers
-- above a bound, so that an unchanged cloud is known to be unchanged without reading its rows.
--   $1, $2, $3  int8  the bounds for segments, embeddings and tombstones; 0 counts everything
select
  m.id,
  m.name,
  m.kind,
  m.fingerprint,
  m.dimensions,
  m.words_weight,
  m.vector_weight,
  c.documents,
  c.average_length,
  c.counted_at,
  h.beat_at,
  s.count as source_count,
  s.sum as source_sum,
  g.count as segment_count,
  g.sum as segment_sum,
  g.max as segment_max,
  e.count as embedding_count,
  e.sum as embedding_sum,
  e.max as embedding_max,
  t.count as tombstone_count,
  t.sum as tombstone_sum,
  t.max as tombstone_max
from (select) as always
left join models m on m.state = 'active'
left join collection c on c.id = 1
left join heartbeat h on h.id = 1
cross join lateral (
  select count(*), coalesce(sum(change_seq), 0) as sum from sources where visibility = 'public'
) as s
cross join lateral (
  select count(*), coalesce(sum(change_seq), 0) as sum, coalesce(max(change_seq), 0) as max
  from segments
  where visibility = 'public' and change_seq > $1::int8
) as g
cross join lateral (
  -- Only vectors of segments that are there: what has not arrived yet is not held either.
  select count(*), coalesce(sum(change_seq), 0) as sum, coalesce(max(change_seq), 0) as max
  from embeddings
  where model_id = m.id and visibility = 'public' and change_seq > $2::int8
    and exists (select from segments where segments.id = embeddings.segment_id and segments.visibility = 'public')
) as e
cross join lateral (
  select count(*), coalesce(sum(change_seq), 0) as sum, coalesce(max(change_seq), 0) as max
  from tombstones
  where change_seq > $3::int8
) as t
