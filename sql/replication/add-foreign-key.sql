alter table public.{{table}} add constraint {{name}} {{definition}};
