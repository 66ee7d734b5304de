-- What the product moves and serves. Every row carries the visibility of its source,
-- and (key, visibility) is the replica identity, because the publication's row filter may
-- only look at replica identity columns when a row is updated or deleted.

create extension if not exists vector;

-- Set on the primary at every write; the fallback index reads the cloud in this order.
create sequence change_seq as bigint;

create table sources (
  id bigint primary key,
  kind text not null check (kind in ('video', 'recording', 'meeting')),
  url text,
  title text not null,
  channel text,
  language text,
  duration_ms integer check (duration_ms >= 0),
  published_at timestamptz,
  views bigint check (views >= 0),
  visibility text not null check (visibility in ('public', 'unlisted', 'private')),
  transcript_method text not null check (transcript_method in ('captions-manual', 'captions-auto', 'transcript', 'recognition')),
  processed_at timestamptz not null,
  change_seq bigint not null default nextval('change_seq')
);
create unique index sources_identity on sources (id, visibility);
alter table sources replica identity using index sources_identity;

create table segments (
  id bigint primary key,
  source_id bigint not null,
  visibility text not null,
  ordinal integer not null check (ordinal >= 0),
  -- null when the transcript carries no times at all
  start_ms integer check (start_ms >= 0),
  end_ms integer check (end_ms >= start_ms),
  chapter text,
  -- the speaker who says most of it; null when the transcript names nobody
  speaker text,
  text text not null,
  -- [{"speaker": text|null, "offset": character offset into text, "startMs": integer|null}]
  turns jsonb not null,
  -- start of each white-space separated word of text, in ms after start_ms
  word_starts_ms integer[],
  engine text not null,
  engine_model text,
  engine_version text,
  confidence real check (confidence between 0 and 1),
  change_seq bigint not null default nextval('change_seq'),
  foreign key (source_id, visibility) references sources (id, visibility) on delete cascade
);
create unique index segments_identity on segments (id, visibility);
alter table segments replica identity using index segments_identity;
create index sources_change on sources (change_seq);
create index segments_source on segments (source_id, ordinal);
create index segments_change on segments (change_seq);

-- The words of a segment as sorted hashes of stems with their counts: BM25 from statistics
-- of our own, without detoasting a tsvector for every candidate. Insert-only.
create table segment_terms (
  segment_id bigint primary key,
  visibility text not null,
  terms integer[] not null,
  counts smallint[] not null,
  length integer not null check (length >= 0),
  foreign key (segment_id, visibility) references segments (id, visibility) on delete cascade
);
create unique index segment_terms_identity on segment_terms (segment_id, visibility);
alter table segment_terms replica identity using index segment_terms_identity;
create index segment_terms_words on segment_terms using gin (terms);

-- One row a generation of vectors. At most one is active.
create table models (
  id integer primary key,
  name text not null,
  kind text not null check (kind in ('lsa', 'onnx')),
  -- sha256 of everything that decides a vector: weights, pooling, prefixes, fitted basis
  fingerprint text not null,
  dimensions integer not null check (dimensions between 1 and 2000),
  words_weight real not null check (words_weight between 0 and 1),
  vector_weight real not null check (vector_weight between 0 and 1),
  -- how many public segments the generation was fitted on; null when it needs no fitting
  fitted_segments integer,
  state text not null check (state in ('building', 'active', 'retired')),
  created_at timestamptz not null default now(),
  activated_at timestamptz
);
create unique index models_one_active on models (state) where state = 'active';

-- The fitted basis of a lexical generation: a query's vector is the weighted sum of its terms' rows.
create table model_terms (
  model_id integer not null references models (id) on delete cascade,
  term integer not null,
  basis halfvec not null,
  primary key (model_id, term)
);
alter table model_terms alter column basis set storage plain;

-- Insert-only and narrow: updating anything beside a vector index reinserts into its graph.
create table embeddings (
  model_id integer not null references models (id),
  segment_id bigint not null,
  visibility text not null,
  embedding halfvec not null,
  change_seq bigint not null default nextval('change_seq'),
  primary key (model_id, segment_id),
  foreign key (segment_id, visibility) references segments (id, visibility) on delete cascade
);
alter table embeddings alter column embedding set storage plain;
create unique index embeddings_identity on embeddings (model_id, segment_id, visibility);
alter table embeddings replica identity using index embeddings_identity;
create index embeddings_segment on embeddings (segment_id);
create index embeddings_change on embeddings (change_seq);

-- Word statistics over the public segments: document frequency of every stem found in two or more.
create table lexicon (
  term integer primary key,
  documents integer not null check (documents > 0)
);

create table collection (
  id smallint primary key default 1 check (id = 1),
  documents integer not null,
  average_length double precision not null,
  counted_at timestamptz not null default now()
);

-- What was deleted, so that an index filled by change_seq forgets it too. Carries no content.
create table tombstones (
  change_seq bigint primary key default nextval('change_seq'),
  segment_id bigint not null,
  deleted_at timestamptz not null default now()
);
