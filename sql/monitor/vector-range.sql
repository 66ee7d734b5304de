-- The ids between which a model's public vectors lie, and whether there are $2 of them. $1: the model.
select
  min(segment_id)::text as "first",
  max(segment_id)::text as "last",
  (select count(*) from (select from embeddings where model_id = $1::int and visibility = 'public' limit $2::int) as few)::int
    as "rows"
from embeddings
where model_id = $1::int and visibility = 'public'
