lock table public.{{table}} in share row exclusive mode;
