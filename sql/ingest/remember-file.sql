insert into ingested_files (path, source_id, input_hash, ingested_at) values (?, ?, ?, now())
on conflict (path) do update
set source_id = excluded.source_id, input_hash = excluded.input_hash, ingested_at = excluded.ingested_at
