select m.id, m.name, m.kind, m.fingerprint, m.dimensions, m.state, m.fitted_segments,
       (select count(*)::integer from tombstones t where t.deleted_at > m.created_at) as deleted_since
from models m
order by m.id
