select to_regclass('ingested_files') is not null and to_regclass('embeddings') is not null
         and to_regclass('ingest_pause') is not null as migrated,
       exists (select from pg_extension where extname = 'vector') as has_vector,
       pg_is_in_recovery() as is_standby
