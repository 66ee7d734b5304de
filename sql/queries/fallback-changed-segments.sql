--   $1  int8  bound
select id as segment_id, change_seq from segments where visibility = 'public' and change_seq > $1::int8
