--   $1  int8[]  ids of segments
select segment_id, terms, counts, length
from segment_terms
where visibility = 'public' and segment_id = any ($1::int8[])
