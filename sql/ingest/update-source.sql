-- Visibility is never changed here: see replace-source in ingest/store. The last value is true when the
-- source's segments changed.
update sources
set (kind, url, title, channel, language, duration_ms, published_at, views, visibility, transcript_method,
     processed_at) = (n.kind, n.url, n.title, n.channel, n.language, n.duration_ms, n.published_at, n.views,
     sources.visibility, n.transcript_method, now())
from (values (?::text, ?::text, ?::text, ?::text, ?::text, ?::integer, ?::timestamptz, ?::bigint, ?::text,
              ?::text, ?::bigint, ?::boolean))
  as n (kind, url, title, channel, language, duration_ms, published_at, views, visibility, transcript_method,
        id, segments_changed)
where sources.id = n.id
  and (n.segments_changed
       or (sources.kind, sources.url, sources.title, sources.channel, sources.language, sources.duration_ms,
           sources.published_at, sources.views, sources.transcript_method)
          is distinct from
          (n.kind, n.url, n.title, n.channel, n.language, n.duration_ms, n.published_at, n.views,
           n.transcript_method))
