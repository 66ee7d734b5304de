import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import knex, { type Knex } from 'knex'
import type pg from 'pg'
import { describeServer, explainConnectionError, sessionOptions } from './db.ts'
import { errorCode, errorMessage, HomeportError } from './errors.ts'
import { failpoint } from './failpoint.ts'
import { loadSql, sqlFolder } from './sql.ts'

export const migrationsTable = 'homeport_migrations'

/** The migrations of this program. */
export const migrationsFolder = join(sqlFolder, 'migrations')

export interface MigrationOptions {
  /** where the files lie (default {@link migrationsFolder}) */
  folder?: string
  /** the last one to apply; all of them when absent */
  until?: string
}

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

function migrationSource({ folder, until }: MigrationOptions): Knex.MigrationSource<string> {
  return {
    getMigrations: () =>
      Promise.resolve(listMigrations(folder).filter((name) => until === undefined || name <= until)),
    getMigrationName: (name) => name,
    getMigration: (name) => {
      const text = readMigration(name, folder)
      return Promise.resolve({
        up: async (db: Knex) => {
          await db.raw(text.replaceAll('?', '\\?'))
          await failpoint('migrate.inside')
        },
        down: () => Promise.reject(new HomeportError('MIGRATION_ONE_WAY', `${name} has no way back`)),
      })
    },
  }
}

function openKnex(connectionString: string, options: MigrationOptions = {}): Knex {
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
        prepareSession(client).then(() => done(), done)
      },
    },
    migrations: {
      migrationSource: migrationSource(options),
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
 */
export async function prepareSession(client: pg.ClientBase): Promise<void> {
  await client.query('set idle_in_transaction_session_timeout = 0; set statement_timeout = 0')
  await client.query(loadSql('checks/pin-search-path'))
}

/** Held by who migrates a database, until the end of the transaction. */
export const migrationLock = "select pg_advisory_xact_lock(hashtext('homeport migrate'))"

/**
 * Applies what is missing, all of it in one transaction, and returns the names it applied (none on a second run).
 * Two at once wait for each other; one that was killed leaves nothing half done, and no lock.
 *
 * @throws HomeportError DATABASE_UNREACHABLE, PGVECTOR_MISSING, EXTENSION_DENIED, MIGRATION_DENIED, MIGRATION_FAILED.
 */
export async function migrate(
  connectionString: string,
  options: MigrationOptions = {},
): Promise<{ applied: string[] }> {
  const db = openKnex(connectionString, options)
  try {
    await db.raw('select 1').catch((error: unknown) => {
      throw explainConnectionError(error, { connectionString, applicationName: 'homeport migrate' })
    })
    return await withMigrationLock(db, async () => {
      // A run that was killed leaves knex's own lock row behind; the advisory lock is the one that counts.
      await db.migrate.forceFreeMigrationsLock()
      const [, applied] = (await db.migrate.latest()) as [number, string[]]
      return { applied }
    })
  } catch (error) {
    throw explainMigrationError(error, connectionString)
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

async function withMigrationLock<T>(db: Knex, work: () => Promise<T>): Promise<T> {
  return db.transaction(async (lock) => {
    await lock.raw(migrationLock)
    return work()
  })
}

/** Says in plain words what a migration failed at. */
export function explainMigrationError(error: unknown, connectionString: string): HomeportError {
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
  return new HomeportError('MIGRATION_FAILED', `a migration failed in ${where}`, {
    hint: 'the transaction was rolled back; correct the cause and run ops migrate again',
    cause: error,
  })
}
