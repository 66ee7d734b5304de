-- A vector at or after each of the ids $2 (int8[]), of model $1, each once. One without direction is near to nothing.
select e.segment_id::text as "segment", e.embedding::text as "vector"
from (
  select distinct found.segment_id
  from unnest($2::bigint[]) as wanted (id)
  cross join lateral (
    select segment_id
    from embeddings
    where model_id = $1::int and segment_id >= wanted.id and visibility = 'public'
    order by segment_id
    limit 1
  ) as found
) as chosen
join embeddings e on e.model_id = $1::int and e.segment_id = chosen.segment_id
where l2_norm(e.embedding) > 0
order by e.segment_id
