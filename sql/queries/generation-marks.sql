-- Changes when the words' statistics or the active generation of vectors change: cheap to ask often.
select
  coalesce((select row(documents, average_length, counted_at)::text from collection where id = 1), '')
  || coalesce((select row(id, fingerprint, words_weight, vector_weight)::text from models where state = 'active'), '')
  as marks
