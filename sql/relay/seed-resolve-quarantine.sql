-- $1: slot, $2: names of tables, which are copied anew
update public.relay_quarantine set resolved_at = clock_timestamp()
where slot = $1 and table_name = any ($2::text[]) and resolved_at is null;
