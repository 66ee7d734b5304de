-- How a verdict came about, and what a repair took away.

-- When every row was last compared and was the same; checked_at may rest on what changed since, and a share of the rest.
alter table verifications add column full_at timestamptz;

-- In the cloud, never published: rows as they were before a repair, in the transaction that repaired them.
create table repair_journal (
  id bigint generated always as identity primary key,
  -- one call of ops repair --apply
  run text not null,
  table_name text not null,
  key text[] not null,
  -- refused: the cloud's database did not take the row, and reason says why
  action text not null check (action in ('insert', 'update', 'delete', 'refused')),
  -- every published column as text; null when there was no row
  old_image jsonb,
  -- the primary's position: the row is what the primary had there
  lsn pg_lsn not null,
  reason text,
  repaired_at timestamptz not null default now(),
  -- when the row got a new number on the primary, so that indexes in memory read it again
  announced_at timestamptz
);
create index repair_journal_run on repair_journal (run);
