delete from ingested_files where source_id = ? and path <> ?
