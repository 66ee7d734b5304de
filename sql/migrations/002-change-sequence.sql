-- Fires on the primary only: a subscription applies with session_replication_role = replica.
create function bury_segment() returns trigger language plpgsql as $$
begin
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
