-- The ten nearest of model {{model}} to the vector $1, without segment $2 itself: as by_vector in queries/search.
-- Whether the index or every row answers is up to the session's settings.
select (embedding::halfvec({{dimensions}}) <=> $1::halfvec({{dimensions}}))::float8 as "distance"
from embeddings
where model_id = {{model}} and visibility = 'public' and segment_id <> $2::bigint
order by embedding::halfvec({{dimensions}}) <=> $1::halfvec({{dimensions}})
limit 10
