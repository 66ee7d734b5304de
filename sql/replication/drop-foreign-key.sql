alter table public.{{table}} drop constraint if exists {{name}};
