-- A cloud that was made a primary keeps the relay's record, in a state that no relay ends: none may write here again.

alter table relay_progress drop constraint relay_progress_state_check;
alter table relay_progress add constraint relay_progress_state_check
  check (state in ('seeding', 'following', 'stopped', 'promoted'));

-- A database that follows buries nothing of its own, whichever way it follows; one that was promoted follows nobody.
create or replace function bury_segment() returns trigger language plpgsql as $$
begin
  if exists (select from relay_progress where state <> 'promoted') or exists (
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
