select
  (select count(*)::int from sources where visibility = 'public') as sources,
  (select count(*)::int from segments where visibility = 'public') as segments,
  (select count(*)::int from sources where visibility <> 'public') as private_sources,
  (select count(*)::int from segments where visibility <> 'public') as private_segments
