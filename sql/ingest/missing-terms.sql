-- In the order of the table, so that rows read together lie together.
copy (
  select s.id, s.visibility, t.terms, t.counts
  from segments s
  left join segment_terms t on t.segment_id = s.id
  where not exists (select from embeddings e where e.model_id = {{model}} and e.segment_id = s.id)
  limit {{limit}}
) to stdout (format binary)
