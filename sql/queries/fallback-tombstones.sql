--   $1  int8  bound
select segment_id, change_seq from tombstones where change_seq > $1::int8
