update models set state = 'active', activated_at = now()
where id = ? and state = 'building'
  and not exists (
    select from segments s
    where not exists (select from embeddings e where e.model_id = models.id and e.segment_id = s.id)
  )
