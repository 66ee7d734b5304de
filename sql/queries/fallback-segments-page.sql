--   $1  int8  the last id of the page before   $2  int4  rows
select id, source_id, start_ms, end_ms, chapter, speaker, text, turns, word_starts_ms, change_seq
from segments
where visibility = 'public' and id > $1::int8
order by id
limit $2::int4
