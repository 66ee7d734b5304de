select set_config('search_path', concat_ws(', ', 'public', (
  select quote_ident(n.nspname)
  from pg_catalog.pg_extension e
  join pg_catalog.pg_namespace n on n.oid = e.extnamespace
  where e.extname = 'vector' and n.nspname not in ('public', 'pg_catalog')
)), false);
