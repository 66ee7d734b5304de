-- How old and how verified the cloud is, readable there without any privilege beyond select.

create table heartbeat (
  id smallint primary key default 1 check (id = 1),
  beat bigint not null,
  beat_at timestamptz not null,
  lsn pg_lsn not null
);

create table verifications (
  table_name text primary key,
  verdict text not null check (verdict in ('match', 'drift', 'undetermined')),
  row_count bigint not null,
  lsn pg_lsn not null,
  checked_at timestamptz not null
);
