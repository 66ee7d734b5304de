select exists (select from public.relay_progress) as "relayed";
