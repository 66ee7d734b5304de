select exists (select from public.{{table}}) as "filled";
