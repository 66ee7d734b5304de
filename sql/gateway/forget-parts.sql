-- $1: slot, $2: epoch of the relay that writes now, $3: what is in this database already
delete from relay_parts
where slot = $1 and (epoch < $2::bigint or batch_end <= $3::pg_lsn);
