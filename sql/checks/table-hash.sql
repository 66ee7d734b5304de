-- Order does not matter to it, and rows may cancel out in one of the three figures but not in all.
select
  {{bucket}} as "bucket",
  count(*)::text as "rows",
  coalesce(bit_xor(h.hash), 0)::text as "xor",
  coalesce(sum((h.hash >> 32)::int4), 0)::text as "highSum",
  coalesce(sum(((h.hash << 32) >> 32)::int4), 0)::text as "lowSum",
  -- counted so that it is done; the session rests now and then, for others
  count({{rest}}) as "rests",
  -- since the statement began, the buckets before this one with it
  extract(epoch from clock_timestamp() - statement_timestamp())::double precision * 1000 as "serverMs"
from (
  select {{hash}} as hash
  -- "offset 0" keeps the planner from computing a value's bytes, and below a row's hash, more than once
  from (select {{values}} from public.{{table}} t where {{condition}} offset 0) s
  offset 0
) h
