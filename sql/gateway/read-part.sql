-- $1: slot, $2: epoch, $3: end of the batch, $4: part, $5: from which byte (the first is 1), $6: how many.
-- In slices, since bytea travels as text twice as long.
select octet_length(content) as "length", substr(content, $5::integer, $6::integer) as "slice"
from relay_parts
where slot = $1 and epoch = $2::bigint and batch_end = $3::pg_lsn and part = $4::integer;
