import { performance } from 'node:perf_hooks'
import { sleep } from '../../core/backoff.ts'
import type { Queryable } from '../../core/db.ts'
import { loadSql } from '../../core/sql.ts'
import { permissions, type Permission } from './keys.ts'

/** What the cloud keeps of a key. */
export interface KeyRecord {
  id: string
  client: string
  /** sha256 of the secret */
  hash: Buffer
  permissions: readonly Permission[]
  createdAt: Date
  revokedAt: Date | null
}

/** Every key there ever was, the oldest first. */
export async function readKeys(db: Queryable): Promise<KeyRecord[]> {
  const { rows } = await db.query<Omit<KeyRecord, 'permissions'> & { permissions: string[] }>(
    loadSql('gateway/keys'),
  )
  return rows.map((row) => ({
    ...row,
    permissions: permissions.filter((permission) => row.permissions.includes(permission)),
  }))
}

export interface KeyStoreOptions {
  db: Queryable
  /** How long what was read is believed (default 10 s). */
  maxAgeMs?: number
  /** How long it is believed when the database does not answer (default 30 s): no revoked key works longer. */
  maxStaleMs?: number
  /** Time between two readings at least (default 200 ms), however many ask. */
  minGapMs?: number
  now?: () => number
}

export interface KeyStore {
  /** The key, revoked or not; undefined when there is none. @throws when the database does not answer for too long. */
  find(id: string): Promise<KeyRecord | undefined>
  /** Returns when everything that was in the database before the call is known. @throws when it does not answer. */
  refresh(): Promise<void>
}

/**
 * All keys in memory. There are a handful, and so a flood of made-up ones costs the database a few
 * statements a second.
 */
export function createKeyStore(options: KeyStoreOptions): KeyStore {
  const {
    db,
    maxAgeMs = 10_000,
    maxStaleMs = 30_000,
    minGapMs = 200,
    now = () => performance.now(),
  } = options
  let known: { keys: ReadonlyMap<string, KeyRecord>; readAtMs: number } | undefined
  let startedAtMs = -Infinity
  let current: Promise<void> | undefined
  let next: Promise<void> | undefined

  return {
    async find(id) {
      if (known === undefined || now() - known.readAtMs >= maxAgeMs) {
        try {
          await (current ?? refresh())
        } catch (error) {
          if (known === undefined || now() - known.readAtMs >= maxStaleMs) throw error
        }
      }
      return known?.keys.get(id)
    },
    refresh,
  }

  /** A reading that has not begun yet; whoever comes before it begins shares it. */
  function refresh(): Promise<void> {
    next ??= (async () => {
      await current?.catch(() => undefined)
      const waitMs = startedAtMs + minGapMs - now()
      if (waitMs > 0) await sleep(waitMs)
      next = undefined
      current = read()
      try {
        await current
      } finally {
        current = undefined
      }
    })()
    return next
  }

  async function read(): Promise<void> {
    // Its age counts from before the question: what was revoked meanwhile may not be in the answer.
    startedAtMs = now()
    const readAtMs = startedAtMs
    const keys = await readKeys(db)
    known = { keys: new Map(keys.map((key) => [key.id, key])), readAtMs }
  }
}
