delete from segment_terms where segment_id = any (?::bigint[])
