-- $1: the slot
delete from ingest_pause where slot = $1;
