-- $1: type oids, $2: their modifiers. Types of Postgres itself have the same oid on every server.
select format_type(t.oid, t.modifier) as "name"
from unnest($1::int8[], $2::int4[]) with ordinality as t (oid, modifier, position)
order by t.position;
