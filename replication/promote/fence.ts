import type pg from 'pg'
import { sleep } from '../../core/backoff.ts'
import type { Queryable } from '../../core/db.ts'
import { errorCode, HomeportError } from '../../core/errors.ts'
import { publishedTables, type PublishedTable } from '../../core/published-tables.ts'
import { fragment, identifier, joinSql, literal, loadSql, renderSql } from '../../core/sql.ts'

/** Heartbeats and verdicts go on behind the fence: they prove that the cloud has everything. */
const proofTables: ReadonlySet<string> = new Set(['heartbeat', 'verifications'])

/** Published tables that hold content. */
export const contentTables: readonly PublishedTable[] = publishedTables.filter(
  (table) => !proofTables.has(table.name),
)

const fencedTables: readonly string[] = [...contentTables.map((table) => table.name), 'ingested_files']

/** How long one attempt may hold new writers up behind those that are not done. */
const attemptMs = 5_000

export interface FenceState {
  /** no table of content takes writes any more */
  isFenced: boolean
  /** the slot of the cloud that home gives way to; null where there is no fence, or an older program made it */
  fencedFor: string | null
}

export async function readFence(primary: Queryable): Promise<FenceState> {
  const { rows } = await primary.query(loadSql('promote/fenced-tables'), [fencedTables])
  const made = await primary.query<{ slot: string | null }>(loadSql('promote/fenced-for'))
  return { isFenced: rows.length === fencedTables.length, fencedFor: made.rows[0]?.slot ?? null }
}

/**
 * Stops every write to content at home, whoever makes it. A trigger on each table refuses: settings such as
 * default_transaction_read_only are a default that any session may change, and a role's rights do not bind a
 * superuser. Making the triggers waits for the transactions that have written, so that none is still on its way
 * afterwards. It outlasts restarts, and is taken away by {@link liftFence} only. `slot` names the cloud that takes
 * home's place.
 *
 * @throws HomeportError WRITERS_STAY, naming the sessions; the signal's reason.
 */
export async function placeFence(
  primary: pg.Pool,
  options: { slot: string; timeoutMs: number; signal?: AbortSignal },
): Promise<void> {
  const deadline = performance.now() + options.timeoutMs
  for (;;) {
    try {
      await fenceOnce(primary, options.slot, Math.max(1, Math.min(attemptMs, deadline - performance.now())))
      return
    } catch (error) {
      if (errorCode(error) !== lockNotAvailable && errorCode(error) !== deadlock) throw error
      if (performance.now() >= deadline) throw await explainWriters(primary, error)
    }
    await sleep(200, options.signal)
  }
}

const lockNotAvailable = '55P03'
const deadlock = '40P01'

async function fenceOnce(primary: pg.Pool, slot: string, lockMs: number): Promise<void> {
  const client = await primary.connect()
  try {
    await client.query('begin')
    await client.query(`set local lock_timeout = ${Math.ceil(lockMs)}; set local statement_timeout = 0`)
    const tables = joinSql(fencedTables.map((name) => fragment(`public.${identifier(name).sql}`)))
    await client.query(renderSql('promote/lock-tables', { tables }))
    await client.query(loadSql('promote/fence-function'))
    await client.query(renderSql('promote/fence-for', { slot: literal(slot) }))
    for (const name of fencedTables) {
      const table = identifier(name)
      await client.query(renderSql('promote/fence-table', { table }))
      await client.query(renderSql('promote/fence-always', { table }))
    }
    await client.query('commit')
  } finally {
    // The session goes with it: where something failed, so does the transaction.
    client.release(true)
  }
}

/** Lets home be written to again. @throws 55P03 of the server where somebody reads a table for a minute. */
export async function liftFence(primary: pg.Pool): Promise<void> {
  const client = await primary.connect()
  try {
    await client.query(`set lock_timeout = '60s'; set statement_timeout = 0`)
    await client.query(loadSql('promote/lift-fence'))
  } finally {
    client.release(true)
  }
}

async function explainWriters(primary: Queryable, cause: unknown): Promise<HomeportError> {
  type Writer = { pid: number; name: string; openSeconds: number | null }
  const { rows } = await primary.query<Writer>(loadSql('promote/writers'), [fencedTables])
  const list = rows.map(
    ({ name, pid, openSeconds }) => `${name} (backend ${pid}, open for ${Math.round(openSeconds ?? 0)} s)`,
  )
  const ends = rows.map(({ pid }) => `select pg_terminate_backend(${pid})`)
  return new HomeportError(
    'WRITERS_STAY',
    `home is still being written to: ${list.length === 0 ? 'by sessions that this role may not look at' : list.join(', ')}`,
    {
      hint:
        ends.length === 0
          ? 'let the writer end, and run this again'
          : `let them end, or there: ${ends.join('; ')}; then run this again`,
      cause,
    },
  )
}
