insert into sources (kind, url, title, channel, language, duration_ms, published_at, views, visibility,
                     transcript_method, id, processed_at)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, now())
