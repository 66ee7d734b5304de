-- How a walsender prints columns whose type it cannot send as bytes, whatever role, database and URL say.
select
  set_config('client_encoding', 'UTF8', false),
  set_config('datestyle', 'ISO', false),
  set_config('intervalstyle', 'postgres', false),
  set_config('extra_float_digits', '1', false),
  set_config('bytea_output', 'hex', false)
