create or replace trigger homeport_fence before insert or update or delete or truncate on public.{{table}}
  for each statement execute function public.homeport_fence();
