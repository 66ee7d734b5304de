-- $1: names of tables. Another text once the server was started anew (a restored one always was), or the table was
-- made, emptied or rewritten anew: then nothing that was once proven about its rows holds.
select
  c.relname::text as "table",
  concat_ws(' ', d.oid, extract(epoch from pg_postmaster_start_time()), c.oid, c.relfilenode) as "storage"
from pg_class c
cross join pg_database d
where d.datname = current_database()
  and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname = any ($1::text[]);
