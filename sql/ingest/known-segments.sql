select s.id, s.ordinal, s.turns, s.word_starts_ms, s.engine, s.confidence,
       t.terms::text as terms, t.counts::text as counts
from segments s
left join segment_terms t on t.segment_id = s.id
where s.source_id = ?
