-- What stays at home: rows that are not public, and files that were taken in.
select
  (select count(*)::int from sources where visibility <> 'public') as "privateSources",
  (select count(*)::int from segments where visibility <> 'public') as "privateSegments",
  (select count(*)::int from ingested_files) as "ingestedFiles";
