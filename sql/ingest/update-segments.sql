update segments
set ordinal = n.ordinal, turns = n.turns, word_starts_ms = n.word_starts_ms, engine = n.engine,
    confidence = n.confidence
from jsonb_to_recordset(?::jsonb)
  as n (id bigint, ordinal integer, turns jsonb, word_starts_ms integer[], engine text, confidence real)
where segments.id = n.id
