-- $1: slot, $2: epoch, $3: end of the batch. The last 32 bytes of a part are its sha256.
select part, encode(substr(content, octet_length(content) - 31), 'hex') as "digest"
from relay_parts
where slot = $1 and epoch = $2::bigint and batch_end = $3::pg_lsn
order by part;
