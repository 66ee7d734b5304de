-- $1: the slot, $2: why ingest is to wait
insert into ingest_pause (slot, reason) values ($1, $2)
on conflict (slot) do update set reason = excluded.reason where ingest_pause.reason <> excluded.reason;
