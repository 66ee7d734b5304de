-- Order does not matter to it, and rows may cancel out in one of the three figures but not in all.
select
  {{bucket}} as "bucket",
  count(*)::text as "rows",
  coalesce(bit_xor(h.hash), 0)::text as "xor",
  coalesce(sum((h.hash >> 32)::int4), 0)::text as "highSum",
  coalesce(sum(((h.hash << 32) >> 32)::int4), 0)::text as "lowSum"
from (
  select {{hash}} as hash
  -- "offset 0" keeps the planner from computing a value's bytes, and below a row's hash, more than once
  from (select {{values}} from public.{{table}} t where {{condition}} offset 0) s
  offset 0
) h
