-- $1: slot, $2: start of the commit record, $3: table, $4: operation, $5: key, $6: resolution
insert into public.relay_conflicts (slot, commit_lsn, table_name, operation, key, resolution)
values ($1, $2::pg_lsn, $3, $4, $5::text[], $6);
