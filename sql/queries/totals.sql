-- Counted less often than the pulse: it reads an index of every segment.
select
  (select count(*) from segments where visibility = 'public')::int as total_segments,
  (select max(processed_at) from sources where visibility = 'public') as last_updated
