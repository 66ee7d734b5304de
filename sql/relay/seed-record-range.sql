-- $1: slot, $2: table, $3: number, $4: position of the snapshot, $5: rows
update public.relay_ranges set snapshot_lsn = $4::pg_lsn, row_count = $5
where slot = $1 and table_name = $2 and number = $3;
