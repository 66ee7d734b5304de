alter table public.{{table}} enable trigger {{trigger}};
