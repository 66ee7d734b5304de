-- With its triggers.
drop function if exists public.homeport_fence() cascade;
