insert into collection (id, documents, average_length, counted_at)
select 1, count(*), coalesce(avg(length), 0), now()
from segment_terms
where visibility = 'public'
on conflict (id) do update
set documents = excluded.documents, average_length = excluded.average_length, counted_at = excluded.counted_at
