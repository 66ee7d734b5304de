drop index concurrently if exists public.{{index}};
