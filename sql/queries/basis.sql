-- A page of a generation's basis, in the order that core/embed/lsa.ts hashes it; halfvec_send gives the
-- bytes of its binary form.
select term, halfvec_send(basis) as row from model_terms where model_id = $1 and term > $2::bigint order by term limit 2000
