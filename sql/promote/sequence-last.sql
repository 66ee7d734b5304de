-- $1: the sequence
select pg_sequence_last_value($1::text::regclass)::text as "last";
