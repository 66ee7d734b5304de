select to_jsonb(t)::text as "image" from public.{{table}} t where {{match}};
