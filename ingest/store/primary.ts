import { hostname } from 'node:os'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import knex, { type Knex } from 'knex'
import type pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { describeServer, explainConnectionError } from '../../core/db.ts'
import { HomeportError } from '../../core/errors.ts'
import { loadSql } from '../../core/sql.ts'
import type { CopyEncoder } from './copy-encoder.ts'
import { CopyDecoder, type CopyFields } from './copy-decoder.ts'

export type Binding = string | number | boolean | Date | Buffer | null | readonly string[]

/** Statements within one session: a transaction, or each on its own. Statement names are files of sql/. */
export interface Statements {
  rows<Row>(name: string, bindings?: readonly Binding[]): Promise<Row[]>
  /** How many rows a statement wrote. */
  change(name: string, bindings?: readonly Binding[]): Promise<number>
  /** Sends what was encoded, if anything. */
  copyIn(name: string, rows: CopyEncoder | AsyncIterable<Buffer>): Promise<void>
  /** The rows of a `copy … to stdout (format binary)`, as they arrive. Nothing else may run meanwhile. */
  copyOut(name: string, numbers?: Numbers): AsyncIterable<CopyFields[]>
}
type Numbers = Readonly<Record<string, number>>

export interface Primary extends Statements {
  /** Commits what `work` wrote, or rolls all of it back when it throws. */
  transaction<T>(work: (statements: Statements) => Promise<T>): Promise<T>
  close(): Promise<void>
}

const sessionOptions = '-c client_encoding=UTF8 -c datestyle=ISO -c extra_float_digits=1'

/**
 * One session with the primary, which is checked to be migrated and writable.
 *
 * @param options.ignoresPause go on writing while a relay asks ingest to wait
 * @throws HomeportError DATABASE_UNREACHABLE, NOT_MIGRATED, READ_ONLY_SERVER.
 */
export async function openPrimary(
  connectionString: string,
  options: { ignoresPause?: boolean } = {},
): Promise<Primary> {
  const db = knex({
    client: 'pg',
    connection: {
      connectionString,
      // pg_stat_activity shows it, and a second run names it as the one it found working.
      application_name: `homeport ingest ${process.pid}@${hostname()}`.slice(0, 63),
      connectionTimeoutMillis: 10_000,
      // With the session, so that one that is opened anew ignores it too.
      options:
        options.ignoresPause === true ? `${sessionOptions} -c homeport.ignores_pause=on` : sessionOptions,
      keepAlive: true,
    },
    // One session: what it locks is held as long as it writes.
    pool: { min: 0, max: 1, idleTimeoutMillis: 86_400_000 },
    // Its messages would repeat the statement with its values, which are transcripts.
    compileSqlOnError: false,
    log: { warn: silent, error: silent, debug: silent, deprecate: silent },
  })
  const primary: Primary = {
    ...statementsOf(db),
    transaction: (work) => db.transaction((transaction) => work(statementsOf(transaction))),
    close: () => db.destroy(),
  }
  try {
    await checkPrimary(primary, connectionString)
  } catch (error) {
    await db.destroy()
    throw error
  }
  return primary
}

async function checkPrimary(primary: Primary, connectionString: string): Promise<void> {
  const where = describeServer(connectionString)
  const [found] = await primary
    .rows<{ migrated: boolean; has_vector: boolean; is_standby: boolean }>('ingest/check-schema')
    .catch((error: unknown) => {
      throw explainConnectionError(error, { connectionString, applicationName: 'homeport ingest' })
    })
  if (found?.migrated !== true || !found.has_vector) {
    const lacks = found?.has_vector === true ? 'lacks our tables' : 'lacks our tables and pgvector'
    throw new HomeportError('NOT_MIGRATED', `${where} ${lacks}`, { hint: 'ops migrate' })
  }
  if (found.is_standby) {
    throw new HomeportError('READ_ONLY_SERVER', `${where} is a standby and takes no writes`, {
      hint: 'put the primary into LOCAL_DATABASE_URL',
      exitCode: 2,
    })
  }
}

function statementsOf(db: Knex): Statements {
  return {
    async rows<Row>(name: string, bindings: readonly Binding[] = []) {
      const result = await raw(db, loadSql(name), bindings)
      return result.rows as Row[]
    },
    async change(name, bindings = []) {
      return (await raw(db, loadSql(name), bindings)).rowCount ?? 0
    },
    async copyIn(name, rows) {
      const chunks = Symbol.asyncIterator in rows ? rows : rows.rows > 0 ? [rows.take(true)] : undefined
      if (chunks === undefined) return
      const session = await borrowSession(db)
      try {
        await pipeline(Readable.from(chunks), session.client.query(copyFrom(loadSql(name))))
      } finally {
        await session.giveBack()
      }
    },
    async *copyOut(name, numbers = {}) {
      const decoder = new CopyDecoder()
      const session = await borrowSession(db)
      try {
        const stream = session.client.query(copyTo(loadSql(name, numbers)))
        for await (const chunk of stream as AsyncIterable<Buffer>) yield decoder.push(chunk)
      } finally {
        await session.giveBack()
      }
    },
  }
}

async function raw(db: Knex, sql: string, bindings: readonly Binding[]): Promise<pg.QueryResult> {
  return db.raw<pg.QueryResult>(sql, bindings as Knex.RawBinding[])
}

/** knex has no COPY; it hands out the driver's own session for it (a transaction hands out its own). */
async function borrowSession(db: Knex): Promise<{ client: pg.Client; giveBack: () => Promise<void> }> {
  const pool = db.client as {
    acquireConnection(): Promise<pg.Client>
    releaseConnection(client: pg.Client): Promise<void>
  }
  const client = await pool.acquireConnection()
  return { client, giveBack: async () => pool.releaseConnection(client) }
}

function silent(): void {
  // What knex would print is thrown as well, and shown once.
}
