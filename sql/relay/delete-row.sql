delete from public.{{table}} where {{match}};
