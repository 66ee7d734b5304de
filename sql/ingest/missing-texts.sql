copy (
  select s.id, s.visibility, s.text
  from segments s
  where not exists (select from embeddings e where e.model_id = {{model}} and e.segment_id = s.id)
  limit {{limit}}
) to stdout (format binary)
