select (select count(*)::integer from sources) as sources,
       (select count(*)::integer from sources where visibility = 'public') as public_sources,
       (select count(*)::integer from segments) as segments,
       (select count(*)::integer from segments where visibility = 'public') as public_segments,
       (select count(*)::integer from lexicon) as lexicon_terms,
       (select count(*)::integer from ingested_files) as files,
       (select max(ingested_at) from ingested_files) as last_ingest
