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
  end as "identity"
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname = any ($1::text[])
order by c.relname;
