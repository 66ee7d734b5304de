import type pg from 'pg'
import { createPool, explainConnectionError, type PoolOptions } from '../core/db.ts'
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
 * Opens a pool and asks the server who it is.
 * @throws HomeportError DATABASE_UNREACHABLE; the pool is closed then.
 */
export async function openServer(side: Side, url: string): Promise<Server> {
  const options: PoolOptions = { connectionString: url, applicationName: 'homeport ops', max: 4 }
  const pool = createPool(options)
  try {
    return { side, url, pool, facts: await readServerFacts(pool) }
  } catch (error) {
    await pool.end()
    throw explainConnectionError(error, options)
  }
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
