-- $1: names of tables
select
  c.relname::text as "table",
  c.oid::text as "oid",
  c.relrowsecurity as "rowSecurity",
  pg_has_role(current_user, c.relowner, 'usage') as "owned",
  case c.relreplident
    when 'f' then (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)
    when 'n' then null
    else (select array_agg(a.attname::text order by k.position)
      from pg_index i
      cross join lateral unnest(i.indkey) with ordinality as k (attnum, position)
      join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
      where i.indrelid = c.oid and (case c.relreplident when 'd' then i.indisprimary else i.indisreplident end))
  end as "identity",
  p.columns as "primaryKey",
  p.name as "primaryKeyName"
from pg_class c
left join lateral (
  select k.conname::text as name, (select array_agg(a.attname::text order by n.position)
    from unnest(k.conkey) with ordinality as n (attnum, position)
    join pg_attribute a on a.attrelid = c.oid and a.attnum = n.attnum) as columns
  from pg_constraint k
  where k.conrelid = c.oid and k.contype = 'p'
) p on true
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname = any ($1::text[])
order by c.relname;
