import type { Queryable } from './db.ts'
import { errorCode } from './errors.ts'
import { loadSql } from './sql.ts'

/**
 * What names this database among all others, the same for every role: its server's system identifier and its oid. Null where the
 * role may not ask: some providers keep pg_control_system() from their customers.
 */
export async function readDatabaseIdentity(db: Queryable): Promise<string | null> {
  try {
    const { rows } = await db.query<{ identity: string }>(loadSql('checks/database-identity'))
    return rows[0]?.identity ?? null
  } catch (error) {
    if (errorCode(error) === '42501') return null
    throw error
  }
}
