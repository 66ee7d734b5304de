import type { Queryable } from './db.ts'
import { errorCode } from './errors.ts'
import { loadSql } from './sql.ts'

/** What names a server, and every physical copy of it; null where the role may not read it. */
export async function readSystemIdentifier(db: Queryable): Promise<string | null> {
  const row = await readUnlessKept<{ systemIdentifier: string }>(db, 'checks/system-identifier')
  return row?.systemIdentifier ?? null
}

/**
 * What names this database among all others, the same for every role: its server's system identifier and its oid. Null where
 * the role may not read it.
 */
export async function readDatabaseIdentity(db: Queryable): Promise<string | null> {
  const row = await readUnlessKept<{ identity: string }>(db, 'checks/database-identity')
  return row?.identity ?? null
}

/** Some providers keep pg_control_system() from their customers. */
async function readUnlessKept<Row extends object>(db: Queryable, name: string): Promise<Row | null> {
  try {
    const { rows } = await db.query<Row>(loadSql(name))
    return rows[0] ?? null
  } catch (error) {
    if (errorCode(error) === '42501') return null
    throw error
  }
}
