select
  i.relname::text as "name",
  x.indisvalid as "valid",
  pg_relation_size(i.oid)::text as "bytes"
from pg_index x
join pg_class i on i.oid = x.indexrelid
where x.indrelid = to_regclass('public.embeddings') and i.relname ~ '^embeddings_model_\d+$'
order by i.relname;
