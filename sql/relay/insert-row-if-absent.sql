insert into public.{{table}} ({{columns}}) values ({{parameters}}) on conflict ({{key}}) do nothing;
