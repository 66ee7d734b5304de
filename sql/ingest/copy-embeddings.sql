copy embeddings (model_id, segment_id, visibility, embedding) from stdin (format binary)
