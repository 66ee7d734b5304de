copy segments (id, source_id, visibility, ordinal, start_ms, end_ms, chapter, speaker, text, turns,
               word_starts_ms, engine, confidence)
from stdin (format binary)
