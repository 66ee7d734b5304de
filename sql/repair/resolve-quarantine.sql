-- $1: tables of which every row is proven to be the primary's; what was quarantined before they were looked at ($2)
update relay_quarantine set resolved_at = clock_timestamp()
where table_name = any ($1::text[]) and resolved_at is null and recorded_at < $2::timestamptz;
