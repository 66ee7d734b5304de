select id, kind, url, title, channel, published_at, duration_ms, change_seq
from sources
where visibility = 'public'
