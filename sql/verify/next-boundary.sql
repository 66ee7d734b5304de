-- The key that the rows after the next {{step}} begin with; none when no more are left.
select {{keyText}} as "key"
from public.{{table}} t
where {{condition}}
order by {{keys}}
offset {{step}}
limit 1;
