-- $1: slot, $2: names of tables
delete from public.relay_ranges where slot = $1 and table_name = any ($2::text[]);
