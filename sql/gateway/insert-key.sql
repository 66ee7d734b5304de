-- $1: id, $2: client, $3: sha256 of the secret, $4: permissions
insert into gateway_keys (id, client, key_hash, permissions)
values ($1, $2, $3::bytea, $4::text[])
returning created_at as "createdAt";
