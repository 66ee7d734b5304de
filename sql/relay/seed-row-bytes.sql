-- Bytes of a row on the wire, by a sample.
select coalesce(avg(w.bytes), 0)::float8 as "bytes"
from (
  select {{bytes}} as bytes
  from (select {{values}} from public.{{table}} t where {{condition}} limit 300) s
) w;
