-- version changes whenever the row is written again
select s.key as "key", s.version as "version", ({{hash}})::text as "hash"
from (
  select {{keyText}} as key, t.xmin::text || t.ctid::text as version, {{values}}
  from public.{{table}} t
  where {{condition}}
  offset 0
) s
