-- The row as it is before it is removed; nothing when it is not there. Parameters as in journal-put.
insert into public.repair_journal (run, table_name, key, action, old_image, lsn)
select {{run}}, {{tableName}}, {{keyArray}}::text[], 'delete', {{image}}, {{lsn}}::pg_lsn
from public.{{table}} t
where {{match}} and {{printedKey}} = {{keyArray}}::text[];
