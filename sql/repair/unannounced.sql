-- $1: tables whose rows have a number of their own
select id::text as "id", table_name as "table", key
from repair_journal
where announced_at is null and action in ('insert', 'update') and table_name = any ($1::text[])
order by id
limit 500;
