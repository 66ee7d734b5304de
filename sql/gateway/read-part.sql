-- $1: slot, $2: epoch, $3: end of the batch, $4: part
select content
from relay_parts
where slot = $1 and epoch = $2::bigint and batch_end = $3::pg_lsn and part = $4::integer;
