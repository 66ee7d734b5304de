-- $1: ids of the journal
update repair_journal set announced_at = now() where id = any ($1::bigint[]);
