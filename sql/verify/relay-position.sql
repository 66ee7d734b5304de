-- $1: slot
select end_lsn::text as "endLsn" from relay_progress where slot = $1;
