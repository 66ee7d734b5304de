import type pg from 'pg'

/** Raw text of every column: what is parsed here is parsed by the row, without pg's array and date readers. */
export const rawText = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig

const statementTimeoutMs = 60_000

interface TimedQuery extends pg.QueryConfig {
  /** Of the client's own clock: a server that hangs does not keep its statement timeout either. */
  query_timeout: number
}

/** Queries that all see one moment of the cloud database. */
export interface CloudSnapshot {
  query<Row extends pg.QueryResultRow>(query: pg.QueryConfig): Promise<Row[]>
}

/**
 * Runs queries in one read-only snapshot of the cloud. Ends at once when the signal aborts.
 *
 * @throws the database's error; the session is closed then, not reused.
 */
export async function inCloudSnapshot<T>(
  pool: pg.Pool,
  signal: AbortSignal,
  work: (snapshot: CloudSnapshot) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const client = await pool.connect()
  let released = false
  const release = (destroy: boolean) => {
    if (!released) client.release(destroy)
    released = true
  }
  // Closing the session is the only way to leave a query that a hanging server will not answer.
  const leave = () => release(true)
  signal.addEventListener('abort', leave, { once: true })
  const query = async <Row extends pg.QueryResultRow>(config: pg.QueryConfig): Promise<Row[]> => {
    signal.throwIfAborted()
    const timed: TimedQuery = { ...config, query_timeout: statementTimeoutMs + 5_000 }
    return (await client.query<Row>(timed)).rows
  }
  try {
    // The pool's own timeout is that of a search.
    await query({
      text: `begin isolation level repeatable read read only; set local statement_timeout = ${statementTimeoutMs}; set local jit = off`,
    })
    const result = await work({ query })
    await query({ text: 'commit' })
    release(false)
    return result
  } catch (error) {
    release(true)
    throw error
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
