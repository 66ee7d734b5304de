delete from model_terms
where ctid = any (array(select ctid from model_terms where model_id = ? limit ?))
