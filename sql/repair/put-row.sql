insert into public.{{table}} ({{columns}}) values ({{parameters}})
on conflict ({{key}}) do update set {{assignments}};
