-- What the relay keeps in the cloud: how far it is, who it is, and what it could not apply. Never published.

create table relay_progress (
  slot text primary key,
  -- the primary's, so that a copy of it, or one restored elsewhere, is noticed
  system_identifier text not null,
  timeline integer not null,
  commit_lsn pg_lsn not null,
  -- everything that ended here or before is in this database, once
  end_lsn pg_lsn not null,
  sequence bigint not null default 0,
  -- counted up by every relay that takes over; a batch of an older one is refused
  epoch bigint not null default 0,
  holder text,
  holder_name text,
  held_since timestamptz,
  holder_until timestamptz,
  -- what every batch and renewal extends holder_until by
  lease_seconds integer not null default 60,
  state text not null default 'seeding' check (state in ('seeding', 'following', 'stopped')),
  stop_code text,
  stop_message text,
  stop_hint text,
  updated_at timestamptz not null default now()
);

-- Tables copied at a later position than the slot's start: what ended until copied_lsn is in all of their ranges
-- already, what ended until settled_lsn in some of them.
create table relay_tables (
  slot text not null references relay_progress (slot) on delete cascade,
  table_name text not null,
  settled_lsn pg_lsn not null,
  copied_lsn pg_lsn not null default '0/0',
  primary key (slot, table_name)
);

create table relay_ranges (
  slot text not null references relay_progress (slot) on delete cascade,
  table_name text not null,
  number integer not null,
  key_from text[],
  key_to text[],
  -- both null until the range is copied
  snapshot_lsn pg_lsn,
  row_count bigint,
  primary key (slot, table_name, number)
);

-- A transaction too large for one request waits here for its last part.
create table relay_parts (
  slot text not null references relay_progress (slot) on delete cascade,
  epoch bigint not null,
  batch_end pg_lsn not null,
  part integer not null,
  content bytea not null,
  primary key (slot, epoch, batch_end, part)
);
alter table relay_parts alter column content set storage external;

-- Updates and deletes that found no row, and what was done about them.
create table relay_conflicts (
  id bigint generated always as identity primary key,
  slot text not null,
  commit_lsn pg_lsn not null,
  table_name text not null,
  operation text not null check (operation in ('update', 'delete')),
  key text[] not null,
  resolution text not null,
  recorded_at timestamptz not null default now()
);

-- Rows that the cloud refused, put aside because the operator asked for it. The table stays red until they are resolved.
create table relay_quarantine (
  id bigint generated always as identity primary key,
  slot text not null,
  commit_lsn pg_lsn not null,
  table_name text not null,
  operation text not null check (operation in ('insert', 'update', 'delete')),
  key text[] not null,
  -- as the cloud had it, and as it was to become
  old_image jsonb,
  new_image jsonb,
  error_code text not null,
  reason text not null,
  recorded_at timestamptz not null default now(),
  resolved_at timestamptz
);

create table gateway_keys (
  id text primary key,
  client text not null,
  -- sha256 of a secret of 32 random bytes
  key_hash bytea not null,
  permissions text[] not null,
  created_at timestamptz not null default now(),
  revoked_at timestamptz
);

-- At home: a relay asks ingest to wait before its slot or a disk is full. Ingest reads it before every transaction.
create table ingest_pause (
  slot text primary key,
  reason text not null,
  asked_at timestamptz not null default now()
);

-- A database that follows buries nothing of its own, whichever way it follows.
create or replace function bury_segment() returns trigger language plpgsql as $$
begin
  if exists (select from relay_progress) or exists (
    select from pg_catalog.pg_subscription s
    where s.subname = 'homeport'
      and s.subdbid = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
  ) then
    return null;
  end if;
  insert into tombstones (segment_id) values (old.id);
  return null;
end
$$;

-- The relay's role may not always switch triggers off; its rows keep the numbers of the primary.
create or replace function bump_change_seq() returns trigger language plpgsql as $$
begin
  if coalesce(current_setting('homeport.applying', true), '') <> 'on' then
    new.change_seq := nextval('change_seq');
  end if;
  return new;
end
$$;
