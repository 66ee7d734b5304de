-- Whoever writes content at home is told, whatever role it has and whichever settings: nobody would carry the row on.
create or replace function public.homeport_fence() returns trigger language plpgsql as $$
begin
  raise exception 'the cloud is being made the primary or is one already: % takes no writes here any more', tg_table_name
    using errcode = 'read_only_sql_transaction';
end
$$;
