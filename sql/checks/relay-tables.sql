-- Whether the relay's tables are there, and this role may look at them.
select coalesce(has_table_privilege(to_regclass('public.relay_progress'), 'select'), false) as "present";
