-- Whom home gives way to: no other cloud is made the primary beside that one.
comment on function public.homeport_fence() is {{slot}};
