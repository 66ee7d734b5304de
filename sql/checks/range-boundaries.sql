select s.key as "key"
from (
  select {{keyText}} as key, row_number() over (order by {{keys}}) as n
  from public.{{table}} t
  where {{condition}}
) s
where s.n > 1 and (s.n - 1) % {{step}} = 0
order by s.n
