delete from public.{{table}} t where {{match}};
