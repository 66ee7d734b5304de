-- $1: run
select table_name as "table", key, action, reason
from repair_journal
where run = $1
order by id;
