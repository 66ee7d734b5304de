-- The key that the rows after the next {{step}} begin with; none when no more are left. Printed for that row alone.
select {{keyText}} as "key"
from (
  select {{keyColumns}}
  from public.{{table}} t
  where {{condition}}
  order by {{keys}}
  offset {{step}}
  limit 1
) t;
