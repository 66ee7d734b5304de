-- In binary form: as text a vector is four times as long.
--   $1  int4  model   $2  int8[]  ids of segments
select segment_id, encode(halfvec_send(embedding), 'hex') as vector, change_seq
from embeddings
where model_id = $1::int4 and visibility = 'public' and segment_id = any ($2::int8[])
