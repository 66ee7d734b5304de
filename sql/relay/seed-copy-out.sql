copy (select {{columns}} from public.{{table}} t where {{condition}}) to stdout (format binary);
