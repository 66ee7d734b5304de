-- $1: the sequence. What it gave last (null: nothing yet), and the highest number that is in use.
select pg_sequence_last_value($1::text::regclass)::text as "last", greatest({{maxima}})::text as "maximum";
