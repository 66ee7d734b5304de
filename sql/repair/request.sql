-- $1: prefix, $2: content. In the order of the log, together with every other commit.
select pg_logical_emit_message(true, $1, $2)::text as "lsn";
