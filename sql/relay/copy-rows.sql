copy public.{{table}} ({{columns}}) from stdin (format binary);
