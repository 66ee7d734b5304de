select id, client, key_hash as "hash", permissions,
  created_at as "createdAt", revoked_at as "revokedAt"
from gateway_keys
order by created_at, id;
