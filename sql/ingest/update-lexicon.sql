-- The three parts touch different rows of lexicon; a row that is right already is not even locked.
with counted as materialized (
  select term, count(*)::integer as documents
  from segment_terms, unnest(terms) as term
  where visibility = 'public'
  group by term
  having count(*) >= 2
), gone as (
  delete from lexicon l
  where not exists (select from counted c where c.term = l.term)
  returning 1
), corrected as (
  update lexicon l
  set documents = c.documents
  from counted c
  where c.term = l.term and c.documents <> l.documents
  returning 1
), added as (
  insert into lexicon (term, documents)
  select c.term, c.documents
  from counted c
  where not exists (select from lexicon l where l.term = c.term)
  order by c.term
  returning 1
)
select (select count(*)::integer from counted) as terms,
       (select count(*) from gone) + (select count(*) from corrected) + (select count(*) from added) as written
