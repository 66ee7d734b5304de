import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import knex, { type Knex } from 'knex'
import type pg from 'pg'
import { connect, describeServer, explainConnectionError, sessionOptions, type Queryable } from './db.ts'
import { HomeportError } from './errors.ts'
import { failpoint } from './failpoint.ts'
import { blockedHint, describeTableUsers, explainMigrationError, isBlocked } from './migration-errors.ts'
import { takeMigrationLock, type MigrationLockOptions } from './migration-lock.ts'
import { loadSql, sqlFolder } from './sql.ts'

export const migrationsTable = 'homeport_migrations'

/** The migrations of this program. */
export const migrationsFolder = join(sqlFolder, 'migrations')

export interface MigrationOptions {
  /** where the files lie (default {@link migrationsFolder}) */
  folder?: string
  /** the last one to apply; all of them when absent */
  until?: string
  /** how long a table may be in use by others (default {@link tableWaitMs}) */
  lockTimeoutMs?: number
}

/** A migration that waits for a table keeps everybody else waiting behind it: searches, and whoever applies rows. */
export const tableWaitMs = 15_000

/** Every migration's name, in the order they apply. */
export function listMigrations(folder = migrationsFolder): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .sort()
}

/** The SQL of one migration. */
export function readMigration(name: string, folder = migrationsFolder): string {
  return readFileSync(join(folder, name), 'utf8')
}

/**
 * Whether a migration takes something away, by its name (NNN-what.contract.sql): it goes to the primary first, and to
 * the cloud once that has everything which was written before.
 */
export function isContract(name: string): boolean {
  return name.endsWith('.contract.sql')
}

function migrationSource(
  { folder, until }: MigrationOptions,
  onBegin: (name: string) => void,
): Knex.MigrationSource<string> {
  return {
    getMigrations: () =>
      Promise.resolve(listMigrations(folder).filter((name) => until === undefined || name <= until)),
    getMigrationName: (name) => name,
    getMigration: (name) => {
      const text = readMigration(name, folder)
      return Promise.resolve({
        up: async (db: Knex) => {
          onBegin(name)
          await db.raw(text.replaceAll('?', '\\?')).catch((error: unknown) => {
            throw withoutStatement(error, text)
          })
          await failpoint('migrate.inside')
        },
        down: () => Promise.reject(new HomeportError('MIGRATION_ONE_WAY', `${name} has no way back`)),
      })
    },
  }
}

function openKnex(
  connectionString: string,
  options: MigrationOptions = {},
  onBegin: (name: string) => void = () => undefined,
): Knex {
  const lockTimeoutMs = options.lockTimeoutMs ?? tableWaitMs
  return knex({
    client: 'pg',
    connection: {
      connectionString,
      application_name: 'homeport migrate',
      connectionTimeoutMillis: 10_000,
      options: sessionOptions,
    },
    pool: {
      min: 0,
      max: 2,
      afterCreate: (client: pg.Client, done: (error?: Error) => void) => {
        prepareSession(client, lockTimeoutMs).then(() => done(), done)
      },
    },
    migrations: {
      migrationSource: migrationSource(options, onBegin),
      tableName: migrationsTable,
      // What a newer program has applied is no reason to refuse: it has only added to the schema.
      disableMigrationsListValidation: true,
    },
    // Its own messages repeat SQL; ours come from the error that is thrown.
    log: {
      warn: () => undefined,
      error: () => undefined,
      debug: () => undefined,
      deprecate: () => undefined,
    },
  })
}

/**
 * Our tables go to public, and pgvector is found where it is, whatever path the role has; and limits
 * meant for an application do not cut a migration off, nor the transaction that waits for it.
 * @param lockTimeoutMs how long a statement may wait for a table
 */
export async function prepareSession(client: pg.ClientBase, lockTimeoutMs: number): Promise<void> {
  await client.query(
    `set idle_in_transaction_session_timeout = 0; set statement_timeout = 0; set lock_timeout = ${Math.ceil(lockTimeoutMs)}`,
  )
  await client.query(loadSql('checks/pin-search-path'))
}

/**
 * Applies what is missing, all of it in one transaction, and returns the names it applied (none on a second run).
 * Two at once wait for each other; one that was killed leaves nothing half done, and no lock.
 *
 * @throws HomeportError DATABASE_UNREACHABLE, PGVECTOR_MISSING, EXTENSION_DENIED, MIGRATION_DENIED, MIGRATION_FAILED;
 * MIGRATION_RUNS while another one does; MIGRATION_BLOCKED, naming who uses a table.
 */
export async function migrate(
  connectionString: string,
  options: MigrationOptions & Omit<MigrationLockOptions, 'connectionString'> = {},
): Promise<{ applied: string[] }> {
  let current: string | undefined
  const db = openKnex(connectionString, options, (name) => (current = name))
  try {
    await db.raw('select 1').catch((error: unknown) => {
      throw explainConnectionError(error, { connectionString, applicationName: 'homeport migrate' })
    })
    return await withMigrationLock(db, { ...options, connectionString }, async () => {
      // A run that was killed leaves knex's own lock row behind; the advisory lock is the one that counts.
      await db.migrate.forceFreeMigrationsLock()
      const [, applied] = (await db.migrate.latest()) as [number, string[]]
      return { applied }
    })
  } catch (error) {
    if (!isBlocked(error)) throw explainMigrationError(error, connectionString, current)
    const users = await findTableUsers(connectionString, options.lockTimeoutMs ?? tableWaitMs)
    const message = `a table that ${current ?? 'a migration'} alters is in use in ${describeServer(connectionString)}`
    throw new HomeportError('MIGRATION_BLOCKED', `${message}${users === null ? '' : ` by ${users}`}`, {
      hint: blockedHint,
      cause: error,
    })
  } finally {
    await db.destroy()
  }
}

export interface MigrationState {
  applied: string[]
  missing: string[]
  /** applied, and no file of this program: of a newer one */
  unknown: string[]
}

/** Which migrations a database has and lacks; a database without our table lacks them all. */
export async function migrationState(
  connectionString: string,
  folder = migrationsFolder,
): Promise<MigrationState> {
  const db = openKnex(connectionString)
  try {
    const known = await db.schema.hasTable(migrationsTable)
    const applied = known ? await db<{ name: string }>(migrationsTable).orderBy('id').pluck('name') : []
    return compareMigrations(applied, listMigrations(folder))
  } catch (error) {
    throw explainConnectionError(error, { connectionString, applicationName: 'homeport migrate' })
  } finally {
    await db.destroy()
  }
}

/** What a database has of a program's migrations. */
export function compareMigrations(applied: string[], known: readonly string[]): MigrationState {
  return {
    applied,
    missing: known.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !known.includes(name)),
  }
}

async function withMigrationLock<T>(
  db: Knex,
  options: MigrationLockOptions,
  work: () => Promise<T>,
): Promise<T> {
  return db.transaction(async (lock) => {
    await takeMigrationLock(queryable(lock), options)
    return work()
  })
}

async function findTableUsers(connectionString: string, waitedMs: number): Promise<string | null> {
  const session = await connect({ connectionString, applicationName: 'homeport migrate' })
  try {
    return await describeTableUsers(session, waitedMs)
  } finally {
    await session.end()
  }
}

/** Knex puts the whole file before what the server said. */
function withoutStatement(error: unknown, text: string): unknown {
  const prefix = `${text} - `
  if (error instanceof Error && error.message.startsWith(prefix)) {
    error.message = error.message.slice(prefix.length)
  }
  return error
}

/** For statements without parameters. */
function queryable(db: Knex): Queryable {
  return {
    query: async <Row extends pg.QueryResultRow>(text: string) => await db.raw<pg.QueryResult<Row>>(text),
  }
}
