-- $1: id. A key that was revoked before stays revoked since then.
update gateway_keys
set revoked_at = coalesce(revoked_at, now())
where id = $1
returning client, revoked_at as "revokedAt";
