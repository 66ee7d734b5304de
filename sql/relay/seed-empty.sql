delete from public.{{table}};
