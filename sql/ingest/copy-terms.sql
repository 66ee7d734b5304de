copy segment_terms (segment_id, visibility, terms, counts, length) from stdin (format binary)
