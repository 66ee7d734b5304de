-- In the order that core/embed/lsa.ts hashes it; halfvec_send gives the bytes of its binary form.
select term, halfvec_send(basis) from model_terms where model_id = $1 order by term
