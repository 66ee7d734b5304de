-- $1: slot
delete from public.relay_parts where slot = $1;
