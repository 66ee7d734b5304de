-- Hybrid search in one statement. Words and vectors each propose {{depth}} segments, every proposal
-- gets both exact scores, and the fused ranking is that of api/search/fuse.ts.
--   $1 int4[]   the query's terms         $2 float8[]  their weights (times in query * idf)
--   $3 int4[]   any of these proposes     $4 int4[]    all of these together propose; empty: nothing
--   $5 float8   average length, or null   $6 halfvec   query vector of model {{model}}, or null
--   $7 text     its fingerprint           $8, $9 float8  weights of words and vector
--   $10 int     limit                     $11 int      offset
-- Rows are capped at {{rows}} before they are ranked. k1 = 1.2 and b = 0.75 as in core/bm25.ts.
with generation as materialized (
  -- A model's id could be used again: vectors are compared only while its fingerprint is the one
  -- that made the query's vector.
  select id from models where id = {{model}} and fingerprint = $7::text and $6::halfvec is not null
),
proposed as (
  (
    select segment_id, terms, counts, length
    from segment_terms
    where terms && $3::int4[] and visibility = 'public'
    limit {{rows}}
  )
  union all
  (
    select segment_id, terms, counts, length
    from segment_terms
    where terms @> $4::int4[] and cardinality($4::int4[]) > 0 and visibility = 'public'
      and not terms && $3::int4[]
    limit {{rows}}
  )
),
by_words as (
  select segment_id
  from proposed
  order by
    (
      select sum(q.weight * counts[at] * 2.2 / (counts[at] + 1.2 * (0.25 + 0.75 * coalesce(length / $5::float8, 1))))
      from unnest($1::int4[], $2::float8[]) as q (term, weight), lateral (select width_bucket(q.term, terms)) as found (at)
      where terms[at] = q.term
    ) desc nulls last,
    segment_id
  limit {{depth}}
),
by_vector as (
  select segment_id
  from embeddings
  where model_id = {{model}} and visibility = 'public' and exists (select from generation)
  order by embedding::halfvec({{dimensions}}) <=> $6::halfvec
  limit {{depth}}
),
scored as materialized (
  select
    t.segment_id,
    coalesce(
      (
        select sum(q.weight * t.counts[at] * 2.2 / (t.counts[at] + 1.2 * (0.25 + 0.75 * coalesce(t.length / $5::float8, 1))))
        from unnest($1::int4[], $2::float8[]) as q (term, weight), lateral (select width_bucket(q.term, t.terms)) as found (at)
        where t.terms[at] = q.term
      ),
      0
    ) as words,
    coalesce(
      (
        -- a segment in which the model knows nothing has no direction: its cosine is NaN, which would win
        select nullif(1 - (e.embedding <=> $6::halfvec), 'NaN')
        from embeddings e
        where e.model_id = {{model}} and e.segment_id = t.segment_id and exists (select from generation)
      ),
      0
    ) as vector
  from (select segment_id from by_words union select segment_id from by_vector) as candidate
  join segment_terms t using (segment_id)
),
page as (
  select
    segment_id,
    words,
    vector,
    $8::float8 * coalesce(words / nullif(max(words) over (), 0), 0)
      + $9::float8 * coalesce(greatest(vector, 0) / nullif(greatest(max(vector) over (), 0), 0), 0) as score
  from scored
  order by score desc, segment_id
  limit $10::int offset $11::int
)
select
  (select beat_at from heartbeat where id = 1) as as_of,
  (select fingerprint from models where state = 'active') as active_fingerprint,
  exists (select from generation) as vectors_compared,
  (select count(*)::int from scored) as total,
  page.segment_id,
  page.score,
  page.words,
  page.vector,
  s.text,
  s.speaker,
  s.chapter,
  s.turns::text as turns,
  s.start_ms,
  s.end_ms,
  s.word_starts_ms::text as word_starts_ms,
  s.source_id,
  o.kind,
  o.url,
  o.title,
  o.channel,
  o.published_at,
  o.duration_ms
from (select) as always
left join (page join segments s on s.id = page.segment_id join sources o on o.id = s.source_id) on true
order by page.score desc nulls last, page.segment_id
