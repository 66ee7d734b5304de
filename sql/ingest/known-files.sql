select f.path, f.source_id, encode(f.input_hash, 'hex') as input_hash, coalesce(s.segments, 0) as segments
from ingested_files f
left join (select source_id, count(*)::integer as segments from segments group by source_id) s
  on s.source_id = f.source_id
order by f.path
