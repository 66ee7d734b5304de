select to_regclass('public.ingested_files') is not null as "present";
