-- $1: run, $2: table, $3: key, $4: position, $5: why
insert into public.repair_journal (run, table_name, key, action, lsn, reason)
values ($1, $2, $3::text[], 'refused', $4::pg_lsn, $5);
