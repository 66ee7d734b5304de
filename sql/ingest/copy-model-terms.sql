copy model_terms (model_id, term, basis) from stdin (format binary)
