-- The keys after every {{step}} rows, within the next {{limit}} - 1 and the one that begins what comes after.
select {{keyText}} as "key"
from (
  select t.*, row_number() over (order by {{keys}}) as n
  from (
    select {{keyColumns}}
    from public.{{table}} t
    where {{condition}}
    order by {{keys}}
    limit {{limit}}
  ) t
) t
where t.n > 1 and (t.n - 1) % {{step}} = 0
order by t.n;
