-- one parameter a key column: an array of its values as text
select {{keyText}} as "key", {{valueText}} as "values"
from public.{{table}} t
where {{condition}} and ({{keys}}) in (select {{wantedKeys}} from unnest({{arrays}}) as w ({{names}}));
