select count(*)::text as "rows" from public.{{table}} t where {{condition}};
