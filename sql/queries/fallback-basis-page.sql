-- The order is the one that core/embed/lsa.ts hashes.
--   $1  int4  model   $2  int8  the last term of the page before   $3  int4  rows
select term, encode(halfvec_send(basis), 'hex') as basis
from model_terms
where model_id = $1::int4 and term > $2::int8
order by term
limit $3::int4
