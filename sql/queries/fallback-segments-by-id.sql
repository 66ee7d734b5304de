--   $1  int8[]  ids
select id, source_id, start_ms, end_ms, chapter, speaker, text, turns, word_starts_ms, change_seq
from segments
where visibility = 'public' and id = any ($1::int8[])
