import type { Queryable } from '../../core/db.ts'
import { errorCode, HomeportError } from '../../core/errors.ts'
import { loadSql } from '../../core/sql.ts'
import { hashSecret, makeKey, type Permission } from './keys.ts'

export interface CreatedKey {
  id: string
  client: string
  permissions: readonly Permission[]
  /** the whole key; nobody can read it again */
  key: string
}

/** A new key for a client. The cloud keeps its hash only. */
export async function createKey(
  db: Queryable,
  options: { client: string; permissions: readonly Permission[] },
): Promise<CreatedKey> {
  const { client, permissions } = options
  const key = makeKey()
  const values = [key.id, client, hashSecret(key.secret), permissions]
  await explained(db.query(loadSql('gateway/insert-key'), values))
  return { id: key.id, client, permissions, key: key.text }
}

/** From the next half minute on the key, and every token made with it, is refused. @throws HomeportError KEY_UNKNOWN. */
export async function revokeKey(db: Queryable, id: string): Promise<{ client: string; revokedAt: Date }> {
  const { rows } = await explained(
    db.query<{ client: string; revokedAt: Date }>(loadSql('gateway/revoke-key'), [id]),
  )
  const revoked = rows[0]
  if (revoked !== undefined) return revoked
  // It may be a whole key, pasted: not to be shown.
  throw new HomeportError('KEY_UNKNOWN', 'there is no key with this id', { hint: 'ops keys list' })
}

async function explained<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (errorCode(error) !== '42501') throw error
    throw new HomeportError('KEYS_FORBIDDEN', 'this role may not change keys', {
      hint: 'set PRODUCTION_DATABASE_URL: the owner of the tables may',
      cause: error,
    })
  }
}
