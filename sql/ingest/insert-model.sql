-- Ids only grow: cleaning keeps the row of the highest (see delete-model).
insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, fitted_segments, state)
select coalesce(max(id), 0) + 1, ?, ?, ?, ?, ?, ?, ?, 'building' from models
returning id
