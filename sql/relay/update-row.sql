update public.{{table}} set {{assignments}} where {{match}};
