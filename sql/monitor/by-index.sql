-- For this transaction: the vector index answers, with the settings that the api searches with.
select
  set_config('statement_timeout', $1::text, true),
  set_config('hnsw.ef_search', $2::text, true),
  set_config('hnsw.iterative_scan', $3::text, true),
  set_config('enable_seqscan', 'off', true),
  set_config('enable_sort', 'off', true),
  set_config('jit', 'off', true)
