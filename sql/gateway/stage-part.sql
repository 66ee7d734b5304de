-- $1: slot, $2: epoch, $3: holder, $4: end of the batch, $5: part, $6: the part, encoded.
-- Nothing is kept for a relay that another one has taken over from.
insert into relay_parts (slot, epoch, batch_end, part, content)
select p.slot, p.epoch, $4::pg_lsn, $5::integer, $6::bytea
from relay_progress p
where p.slot = $1 and p.epoch = $2::bigint and p.holder = $3
on conflict (slot, epoch, batch_end, part) do update set content = excluded.content
returning part;
