-- $1: name of a table. The catalogue as this snapshot shows it, beside the file that a statement of now reads.
select coalesce(bool_or(c.relfilenode is distinct from pg_relation_filenode(c.oid)), true) as "isReplaced"
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relname = $1;
