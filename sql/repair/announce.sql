-- One parameter a key column: an array of its values as text.
update public.{{table}} t
set {{assignments}}
where {{condition}} and ({{keys}}) in (select {{wantedKeys}} from unnest({{arrays}}) as w ({{names}}));
