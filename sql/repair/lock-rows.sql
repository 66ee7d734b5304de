-- One parameter a key column: an array of its values as text. Nobody changes or deletes these rows before this
-- transaction ends; who only refers to them may.
select {{keyText}} as "key"
from public.{{table}} t
where {{condition}} and ({{keys}}) in (select {{wantedKeys}} from unnest({{arrays}}) as w ({{names}}))
order by {{keys}}
for no key update;
