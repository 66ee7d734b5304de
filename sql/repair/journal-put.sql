-- The row as it is before a put: one parameter a key column, then run, key, position.
insert into public.repair_journal (run, table_name, key, action, old_image, lsn)
select {{run}}, {{tableName}}, {{keyArray}}::text[],
  case when i.image is null then 'insert' else 'update' end, i.image, {{lsn}}::pg_lsn
from (select (select {{image}} from public.{{table}} t where {{match}}) as image) i;
