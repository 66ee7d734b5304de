select exists (select from public.relay_progress where state <> 'promoted') as "relayed",
  exists (select from public.relay_progress where state = 'promoted') as "promoted";
