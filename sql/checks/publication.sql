-- $1: name of the publication
select
  p.puballtables as "allTables",
  p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate as "allOperations",
  coalesce((
    select jsonb_agg(jsonb_build_object(
      'schema', n.nspname, 'table', c.relname, 'columnList', r.prattrs is not null,
      'filter', pg_get_expr(r.prqual, r.prrelid)) order by c.relname)
    from pg_publication_rel r
    join pg_class c on c.oid = r.prrelid
    join pg_namespace n on n.oid = c.relnamespace
    where r.prpubid = p.oid), '[]') as "tables"
from pg_publication p
where p.pubname = $1;
