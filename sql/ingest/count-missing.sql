select count(*)::integer as missing
from segments s
where not exists (select from embeddings e where e.model_id = ? and e.segment_id = s.id)
