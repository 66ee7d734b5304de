-- $1: names of tables. One JSON array of those that are there.
select coalesce(json_agg(t), '[]')::text as "tables"
from (
  select
    c.relname as "name",
    (select coalesce(json_agg(json_build_object(
        'name', a.attname,
        'type', format_type(a.atttypid, a.atttypmod),
        'bareType', format_type(a.atttypid, -1),
        -- a domain counts as the type it is made of
        'typeOid', coalesce(b.oid, y.oid)::int8,
        'typeNames', json_build_array(y.typname, b.typname),
        'typeModifier', case when b.oid is null then a.atttypmod else y.typtypmod end,
        'notNull', a.attnotnull,
        'hasDefault', a.atthasdef or a.attidentity <> '',
        'generated', a.attgenerated <> '' or a.attidentity = 'a') order by a.attnum), '[]')
      from pg_catalog.pg_attribute a
      join pg_catalog.pg_type y on y.oid = a.atttypid
      left join pg_catalog.pg_type b on b.oid = y.typbasetype
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as "columns",
    (select coalesce(json_agg(k.names), '[]')
      from pg_catalog.pg_index i
      cross join lateral (
        select json_agg(a.attname order by a.attname) as names
        from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])
      ) as k
      where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
    ) as "uniqueKeys"
  from pg_catalog.pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname = any ($1::text[])
  order by c.relname
) t;
