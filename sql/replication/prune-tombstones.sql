-- $1: days. Every index that follows the cloud has read them long before.
delete from tombstones where deleted_at < now() - make_interval(days => $1::int);
