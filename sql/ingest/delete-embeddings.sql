delete from embeddings
where ctid = any (array(select ctid from embeddings where model_id = ? limit ?))
