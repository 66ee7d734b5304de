-- The slot of the cloud that home was fenced for; null without a fence.
select obj_description(to_regprocedure('public.homeport_fence()'), 'pg_proc') as "slot";
