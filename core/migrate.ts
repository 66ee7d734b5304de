import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import knex, { type Knex } from 'knex'
import type pg from 'pg'
import { describeServer, explainConnectionError, sessionOptions } from './db.ts'
import { errorCode, errorMessage, HomeportError } from './errors.ts'
import { loadSql, sqlFolder } from './sql.ts'

const table = 'homeport_migrations'

/** Every migration's name, in the order they apply. */
export function listMigrations(): string[] {
  return readdirSync(join(sqlFolder, 'migrations'))
    .filter((name) => name.endsWith('.sql'))
    .sort()
}

const migrationSource: Knex.MigrationSource<string> = {
  getMigrations: () => Promise.resolve(listMigrations()),
  getMigrationName: (name) => name,
  getMigration: (name) => {
    const text = readFileSync(join(sqlFolder, 'migrations', name), 'utf8')
    return Promise.resolve({
      up: (db: Knex) => db.raw(text.replaceAll('?', '\\?')),
      down: () => Promise.reject(new HomeportError('MIGRATION_ONE_WAY', `${name} has no way back`)),
    })
  },
}

function openKnex(connectionString: string): Knex {
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
    migrations: { migrationSource, tableName: table },
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
async function prepareSession(client: pg.Client): Promise<void> {
  await client.query('set idle_in_transaction_session_timeout = 0; set statement_timeout = 0')
  await client.query(loadSql('checks/pin-search-path'))
}

/**
 * Applies what is missing of `sql/migrations`, each in its own transaction, and returns the names it
 * applied (none on a second run). Two at once wait for each other.
 *
 * @throws HomeportError DATABASE_UNREACHABLE, PGVECTOR_MISSING, MIGRATION_FAILED with the file's name.
 */
export async function migrate(connectionString: string): Promise<{ applied: string[] }> {
  const db = openKnex(connectionString)
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

/** Which migrations a database has and lacks; a database without our table lacks them all. */
export async function migrationState(
  connectionString: string,
): Promise<{ applied: string[]; missing: string[] }> {
  const db = openKnex(connectionString)
  try {
    const known = await db.schema.hasTable(table)
    const applied = known ? await db<{ name: string }>(table).orderBy('id').pluck('name') : []
    return { applied, missing: listMigrations().filter((name) => !applied.includes(name)) }
  } catch (error) {
    throw explainConnectionError(error, { connectionString, applicationName: 'homeport migrate' })
  } finally {
    await db.destroy()
  }
}

async function withMigrationLock<T>(db: Knex, work: () => Promise<T>): Promise<T> {
  return db.transaction(async (lock) => {
    await lock.raw("select pg_advisory_xact_lock(hashtext('homeport migrate'))")
    return work()
  })
}

function explainMigrationError(error: unknown, connectionString: string): HomeportError {
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
