import { describeServer, type Queryable } from './db.ts'
import { errorCode, errorMessage, HomeportError } from './errors.ts'
import { loadSql } from './sql.ts'

/** Whether a statement waited for a table that somebody uses, and gave up. */
export function isBlocked(error: unknown): boolean {
  return errorCode(error) === '55P03'
}

/** `others (backend 7, open for 90 s)` of those that have used our tables for so long; null where none is seen. */
export async function describeTableUsers(db: Queryable, waitedMs: number): Promise<string | null> {
  type User = { pid: number; name: string; openSeconds: number }
  const { rows } = await db.query<User>(loadSql('checks/table-users'), [waitedMs])
  if (rows.length === 0) return null
  return rows
    .map(({ name, pid, openSeconds }) => `${name} (backend ${pid}, open for ${Math.round(openSeconds)} s)`)
    .join(', ')
}

/** What to do about a table that is in use. */
export const blockedHint =
  'let the ingest, copy or query that holds it end (select pg_terminate_backend(PID) there ends a forgotten one), then ops migrate again'

/** Says in plain words what a migration failed at. `name` is its file. */
export function explainMigrationError(
  error: unknown,
  connectionString: string,
  name = 'a migration',
): HomeportError {
  if (error instanceof HomeportError) return error
  const where = describeServer(connectionString)
  const code = errorCode(error)
  if (code === '0A000' || code === '58P01') {
    return new HomeportError('PGVECTOR_MISSING', `${where} has no pgvector`, {
      hint: 'install the package postgresql-NN-pgvector on that server, or switch the extension on at your provider',
      cause: error,
    })
  }
  if (code === '42501' && /extension "vector"/.test(errorMessage(error))) {
    return new HomeportError(
      'EXTENSION_DENIED',
      `this role may not create the extension vector in ${where}`,
      {
        hint: 'as a superuser in that database, once: create extension vector;  then run ops migrate again',
        cause: error,
      },
    )
  }
  if (code === '42501') {
    return new HomeportError('MIGRATION_DENIED', `this role may not create the tables in ${where}`, {
      hint: 'run it with the owner of the database',
      cause: error,
    })
  }
  return new HomeportError('MIGRATION_FAILED', `${name} failed in ${where}: ${reasonOf(error)}`, {
    hint: 'the transaction was rolled back; correct the cause and run ops migrate again',
    cause: error,
  })
}

/** Errors about data (22) quote values of rows; the others name tables, columns and constraints. */
function reasonOf(error: unknown): string {
  const code = errorCode(error)
  return code?.startsWith('22') === true ? `SQLSTATE ${code}` : errorMessage(error)
}
