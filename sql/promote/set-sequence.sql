-- $1: the sequence, $2: a number that was given elsewhere. Never back.
select setval($1::text::regclass, m.value) as "value"
from (select greatest($2::int8, {{maxima}}) as value) m
where m.value > coalesce(pg_sequence_last_value($1::text::regclass), 0);
