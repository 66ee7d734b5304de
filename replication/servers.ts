import type pg from 'pg'
import { connect, createPool, explainConnectionError, type PoolOptions, type Queryable } from '../core/db.ts'
import { HomeportError } from '../core/errors.ts'
import { loadSql } from '../core/sql.ts'
import type { Side } from './finding.ts'
import { readServerFacts, type ServerFacts } from './server-facts.ts'

/** A server that answered: its sessions, and what it said about itself. */
export interface Server {
  side: Side
  url: string
  pool: pg.Pool
  facts: ServerFacts
}

export interface ServerUrls {
  primaryUrl: string
  cloudUrl: string
}

/**
 * Opens a pool and asks the server who it is. Without `queryTimeoutMs` a statement may take as long as it does.
 * @throws HomeportError DATABASE_UNREACHABLE; the pool is closed then.
 */
export async function openServer(side: Side, url: string, queryTimeoutMs?: number): Promise<Server> {
  const options: PoolOptions = {
    connectionString: url,
    applicationName: 'homeport ops',
    max: 4,
    onConnect: pinSearchPath,
    ...(queryTimeoutMs === undefined ? {} : { queryTimeoutMs }),
  }
  const pool = createPool(options)
  try {
    // A pool keeps the socket of a handshake that was broken off for want of a password.
    if (new URL(url).password === '') await (await connect(options)).end()
    return { side, url, pool, facts: await readServerFacts(pool) }
  } catch (error) {
    await pool.end()
    throw nameSetting(side, error instanceof HomeportError ? error : explainConnectionError(error, options))
  }
}

const settingOf = { primary: 'LOCAL_DATABASE_URL', cloud: 'PRODUCTION_DATABASE_URL' } as const

/** The same error with the name of the setting that has the URL. */
export function nameSetting(side: Side, error: HomeportError): HomeportError {
  const setting = settingOf[side]
  const hint = error.hint?.replace('the URL', setting)
  return new HomeportError(error.code, `${setting}: ${error.message}`, {
    exitCode: error.exitCode,
    cause: error.cause,
    ...(hint === undefined ? {} : { hint }),
  })
}

/** Both servers for the length of `work`. */
export async function withServers<T>(
  urls: ServerUrls,
  work: (servers: { primary: Server; cloud: Server }) => Promise<T>,
): Promise<T> {
  const opened = await Promise.allSettled([
    openServer('primary', urls.primaryUrl),
    openServer('cloud', urls.cloudUrl),
  ])
  try {
    const [primary, cloud] = opened
    if (primary.status === 'rejected') throw primary.reason
    if (cloud.status === 'rejected') throw cloud.reason
    return await work({ primary: primary.value, cloud: cloud.value })
  } finally {
    await Promise.all(
      opened.map((one) => (one.status === 'fulfilled' ? one.value.pool.end() : Promise.resolve())),
    )
  }
}

/** Our tables are in public and pgvector where it is, whatever path the database or the role has. */
export async function pinSearchPath(client: Queryable): Promise<void> {
  await client.query(loadSql('checks/pin-search-path'))
}
