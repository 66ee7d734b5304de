-- one parameter a key column: an array of its values as text
select s.key as "key", s.version as "version", ({{hash}})::text as "hash", {{columnHashes}} as "columnHashes"
from (
  select {{keyText}} as key, t.xmin::text || t.ctid::text as version, {{values}}
  from public.{{table}} t
  where {{condition}} and ({{keys}}) in (select {{wantedKeys}} from unnest({{arrays}}) as w ({{names}}))
  offset 0
) s
