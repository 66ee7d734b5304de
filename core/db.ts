import pg from 'pg'
import { errorCode, errorMessage, HomeportError } from './errors.ts'

export interface PoolOptions {
  connectionString: string
  applicationName: string
  max?: number
  connectTimeoutMs?: number
  statementTimeoutMs?: number
  /** The client's own limit on one query, for a server that hangs without closing the connection. */
  queryTimeoutMs?: number
  /** Server settings of every session, e.g. `hnsw.ef_search`. */
  sessionSettings?: Readonly<Record<string, string>>
  /** Sessions that are kept when idle (default 0). */
  min?: number
  /** Runs on every new session before anybody gets it; when it throws, the session is closed. */
  onConnect?: (client: pg.ClientBase) => unknown
}

/** Anything that runs a statement: a pool, a session, a session inside a transaction. */
export interface Queryable {
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<pg.QueryResult<Row>>
}

// int8 stays text (ids are 64-bit hashes, past what a JS number holds); the rest is pg's default.
// Pinned so that timestamps and floats read, and backslashes in our statements mean, the same on every server.
export const sessionOptions =
  '-c client_encoding=UTF8 -c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=1 -c standard_conforming_strings=on'

/** A pool of at most `max` (default 4) sessions. When one breaks between two queries, the next query says so. */
export function createPool(options: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    ...clientConfig(options),
    max: options.max ?? 4,
    ...(options.min === undefined ? {} : { min: options.min }),
    ...(options.onConnect === undefined ? {} : { onConnect: options.onConnect }),
  })
  // Without listeners a server restart would end the process: the pool's is for sessions that wait in it,
  // their own for those that are lent out and between two queries.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

/** One connected session. @throws HomeportError as {@link explainConnectionError}. */
export async function connect(options: PoolOptions): Promise<pg.Client> {
  const client = new pg.Client(clientConfig(options))
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (error) {
    // A handshake that the client breaks off leaves the socket open, and the process waiting for it.
    await client.end().catch(() => undefined)
    throw explainConnectionError(error, options)
  }
  return client
}

function clientConfig(options: PoolOptions): pg.ClientConfig {
  return {
    connectionString: options.connectionString,
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
    ...(options.statementTimeoutMs === undefined ? {} : { statement_timeout: options.statementTimeoutMs }),
    ...(options.queryTimeoutMs === undefined ? {} : { query_timeout: options.queryTimeoutMs }),
    options: Object.entries(options.sessionSettings ?? {}).reduce(
      (text, [name, value]) => `${text} -c ${name}=${value}`,
      sessionOptions,
    ),
    keepAlive: true,
  }
}

/** Says in plain words, without the password, why a database could not be reached, and what to do. */
export function explainConnectionError(error: unknown, options: PoolOptions): HomeportError {
  const where = describeServer(options.connectionString)
  const code = errorCode(error)
  const found =
    (code === undefined ? undefined : connectionAdvice[code]) ?? adviceByMessage(errorMessage(error))
  return new HomeportError('DATABASE_UNREACHABLE', `${where}: ${found?.[0] ?? 'no connection'}`, {
    hint: found?.[1] ?? 'check the URL, and that the server is running and reachable from here',
    cause: error,
  })
}

const connectionAdvice: Readonly<Record<string, readonly [string, string]>> = {
  ECONNREFUSED: ['nothing listens there', 'start the server, or correct host and port in the URL'],
  ENOENT: ['its socket does not exist', 'start the server, or correct the socket folder in the URL'],
  ENOTFOUND: ['the host name is unknown', 'correct the host in the URL'],
  ETIMEDOUT: ['no answer', 'check the firewall between here and the server'],
  '28P01': ['the password is wrong', 'correct the password in the URL'],
  '28000': ['the server refuses this role', 'add a line for it to pg_hba.conf, or use another role'],
  '3D000': ['the database does not exist', 'createdb it, or correct the name in the URL'],
  '53300': ['the server has no free connection', 'close some, or raise max_connections'],
  '57P03': ['the server is starting up or shutting down', 'wait a moment and run the command again'],
}

/** What drivers report without a code. */
function adviceByMessage(message: string): readonly [string, string] | undefined {
  return messageAdvice.find(([pattern]) => pattern.test(message))?.[1]
}

const messageAdvice: readonly (readonly [RegExp, readonly [string, string]])[] = [
  [/password must be a/, ['it asks for a password', 'put the password into the URL']],
  [
    /does not support SSL/,
    ['the server does not speak TLS', 'switch ssl on there, or take sslmode out of the URL'],
  ],
  [
    /certificate|self-signed/i,
    ['its certificate is not trusted', 'name the authority with sslrootcert in the URL'],
  ],
  [/timeout/i, ['no answer', 'check host and port in the URL, and the firewall between here and the server']],
]

/** `host:port/database` of a Postgres URL, for messages. */
export function describeServer(connectionString: string): string {
  try {
    const url = new URL(connectionString)
    const host = url.searchParams.get('host') ?? url.hostname
    return `${host === '' ? 'localhost' : host}:${url.port === '' ? '5432' : url.port}${url.pathname}`
  } catch {
    return 'the database'
  }
}
