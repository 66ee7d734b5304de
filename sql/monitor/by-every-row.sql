-- For this transaction: every row is looked at, so that the answer is exact.
select
  set_config('statement_timeout', $1::text, true),
  set_config('enable_indexscan', 'off', true),
  set_config('enable_indexonlyscan', 'off', true),
  set_config('enable_bitmapscan', 'off', true),
  set_config('enable_seqscan', 'on', true),
  set_config('enable_sort', 'on', true),
  set_config('jit', 'off', true)
