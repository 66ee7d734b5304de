select beat::text as "beat", beat_at as "beatAt", lsn::text as "lsn",
  extract(epoch from clock_timestamp() - beat_at)::float8 as "ageSeconds"
from heartbeat
where id = 1;
