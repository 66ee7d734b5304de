-- $1: id of a model
select count(*)::text as "rows" from embeddings where model_id = $1;
