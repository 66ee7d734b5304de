--   $1  int8  the last term of the page before   $2  int4  rows
select term, documents from lexicon where term > $1::int8 order by term limit $2::int4
