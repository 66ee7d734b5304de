-- $1: slot, $2: start of the commit record, $3: table, $4: operation, $5: key, $6: the row as it is,
-- $7: what was to be written of it, $8: SQLSTATE, $9: reason
insert into public.relay_quarantine (slot, commit_lsn, table_name, operation, key, old_image, new_image, error_code, reason)
values ($1, $2::pg_lsn, $3, $4, $5::text[], $6::jsonb, coalesce($6::jsonb, '{}') || $7::jsonb, $8, $9);
