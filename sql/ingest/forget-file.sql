delete from ingested_files where path = ?
