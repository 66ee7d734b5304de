-- Home only: never published.

create table ingested_files (
  path text primary key,
  source_id bigint not null unique,
  -- sha256 over the bytes of the transcript, its metadata file and the version of the pipeline
  input_hash bytea not null,
  ingested_at timestamptz not null
);
