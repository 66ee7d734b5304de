select (select count(*)::integer from segments) as segments,
       (select count(*)::integer from segments where visibility = 'public') as public_segments,
       c.documents as counted_documents,
       (select count(*)::integer from tombstones t where t.deleted_at > c.counted_at) as deleted_since_count
from (values (true)) as one
left join collection c on true
