-- Fires on the primary only: a subscription applies with session_replication_role = replica, and a row
-- that somebody deletes in a database that follows is drift: a tombstone of its own would take the
-- number of one that the primary is about to send.
create function bury_segment() returns trigger language plpgsql as $$
begin
  if exists (
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
create trigger segments_bury after delete on segments
  for each row when (old.visibility = 'public') execute function bury_segment();

create function bump_change_seq() returns trigger language plpgsql as $$
begin
  new.change_seq := nextval('change_seq');
  return new;
end
$$;
create trigger sources_bump before update on sources
  for each row execute function bump_change_seq();
create trigger segments_bump before update on segments
  for each row execute function bump_change_seq();
