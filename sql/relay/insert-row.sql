insert into public.{{table}} ({{columns}}) values ({{parameters}});
