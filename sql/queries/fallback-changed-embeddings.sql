--   $1  int4  model   $2  int8  bound
select segment_id, change_seq
from embeddings
where model_id = $1::int4 and visibility = 'public' and change_seq > $2::int8
  and exists (select from segments where segments.id = embeddings.segment_id and segments.visibility = 'public')
