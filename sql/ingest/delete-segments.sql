delete from segments where id = any (?::bigint[])
