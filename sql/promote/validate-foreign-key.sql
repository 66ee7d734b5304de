alter table public.{{table}} validate constraint {{name}};
