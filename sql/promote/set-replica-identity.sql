alter table public.{{table}} replica identity using index {{index}};
