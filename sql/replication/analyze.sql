analyze public.{{table}};
