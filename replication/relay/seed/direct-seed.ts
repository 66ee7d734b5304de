import { pipeline } from 'node:stream/promises'
import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { orAborted } from '../../../core/backoff.ts'
import { HomeportError } from '../../../core/errors.ts'
import { identifier, joinSql, loadSql, renderSql } from '../../../core/sql.ts'
import type { Progress, SeedLink, SeedRange } from '../cloud-link.ts'

type Begin = Parameters<SeedLink['begin']>[0]
type CopyRange = Parameters<SeedLink['copyRange']>[0]

/**
 * The initial copy straight into the cloud's Postgres, as the relay's or the gateway's write role. Every
 * call is one transaction and stands alone: a pooler may lie in between, and a process may die at any point.
 */
export function directSeed(pool: pg.Pool): SeedLink {
  return {
    begin: (options) => inTransaction(pool, (session) => begin(session, options), limited(longMs)),
    ranges: (slot) =>
      inSession(
        pool,
        async (session) => (await session.query<SeedRange>(loadSql('relay/seed-ranges'), [slot])).rows,
        limited(shortMs),
      ),
    copyRange: async (options) => {
      // It may fail before anybody reads it; the pipeline below reports that too.
      options.rows.on('error', () => undefined)
      return inTransaction(pool, (session) => copyRange(session, options), options.signal)
    },
    finish: (slot) => inTransaction(pool, (session) => finish(session, slot), limited(shortMs)),
  }
}

/** Emptying tables may wait for those who read them, and deletes row by row where others refer to them. */
const longMs = 30 * 60_000
/** A line that is dead says nothing; small questions are answered within this time, or asked again. */
const shortMs = 60_000

function limited(ms: number): AbortSignal {
  return AbortSignal.timeout(ms)
}

async function begin(session: pg.ClientBase, { progress, ranges, empty }: Begin): Promise<void> {
  const { slot, systemIdentifier, timeline, commitLsn, endLsn } = progress
  const tables = [...new Set([...ranges.map((range) => range.table), ...empty])]
  await session.query(loadSql('relay/seed-begin'), [slot, systemIdentifier, timeline, commitLsn, endLsn])
  await session.query(loadSql('relay/seed-forget-ranges'), [slot, tables])
  await session.query(loadSql('relay/seed-forget-settled'), [slot, tables])
  await session.query(loadSql('relay/seed-forget-parts'), [slot])
  await session.query(loadSql('relay/seed-resolve-quarantine'), [slot, tables])
  await emptyTables(session, empty)
  const list = ranges.map(({ table, number, from, to }) => ({ table, number, from, to }))
  await session.query(loadSql('relay/seed-add-ranges'), [slot, JSON.stringify(list)])
}

/** What tables outside the list refer to cannot be truncated without them; its rows are deleted, and those that refer to them stay. */
async function emptyTables(session: pg.ClientBase, tables: readonly string[]): Promise<void> {
  if (tables.length === 0) return
  const { rows } = await session.query<{ table: string }>(loadSql('relay/seed-referenced'), [tables])
  const referenced = new Set(rows.map((row) => row.table))
  for (const table of referenced) {
    await session.query(renderSql('relay/seed-empty', { table: identifier(table) }))
  }
  const free = tables.filter((table) => !referenced.has(table))
  if (free.length === 0) return
  const names = joinSql(free.map((table) => joinSql([identifier('public'), identifier(table)], '.')))
  await session.query(renderSql('relay/seed-truncate', { tables: names }))
}

async function copyRange(session: pg.ClientBase, options: CopyRange): Promise<{ rows: number }> {
  const { slot, range, columns, snapshotLsn, rows } = options
  const place = [slot, range.table, range.number]
  const found = await session.query<{ rows: string | null; isDone: boolean; isSeeding: boolean }>(
    loadSql('relay/seed-lock-range'),
    place,
  )
  const state = found.rows[0]
  if (state === undefined || !state.isSeeding) {
    rows.destroy()
    throw noSuchRange(slot, range)
  }
  if (state.isDone) {
    rows.destroy()
    return { rows: Number(state.rows) }
  }
  const target = session.query(
    copyFrom(
      renderSql('relay/seed-copy-in', {
        table: identifier(range.table),
        columns: joinSql(columns.map(identifier)),
      }),
    ),
  )
  await pipeline(rows, target)
  await session.query(loadSql('relay/seed-record-range'), [...place, snapshotLsn, target.rowCount])
  return { rows: target.rowCount }
}

function noSuchRange(slot: string, range: Pick<SeedRange, 'table' | 'number'>): HomeportError {
  return new HomeportError(
    'SEED_ENDED',
    `the cloud expects no copy of ${range.table}, range ${range.number}, for ${slot}: it was begun anew, or is over`,
    { hint: 'ops status shows how far it is; run the same command again' },
  )
}

async function finish(session: pg.ClientBase, slot: string): Promise<Progress> {
  const { rows } = await session.query<{ state: Progress['state']; open: number }>(
    loadSql('relay/seed-lock-progress'),
    [slot],
  )
  const found = rows[0]
  if (found === undefined) {
    throw new HomeportError('PROGRESS_MISSING', `the cloud has no record of the slot ${slot}`, {
      hint: 'ops setup-replication --mode relay',
    })
  }
  if (found.open > 0) {
    throw new HomeportError('SEED_UNFINISHED', `${found.open} ranges are not copied yet`, {
      hint: 'ops setup-replication --mode relay goes on with them',
    })
  }
  await session.query(loadSql('relay/seed-settle'), [slot])
  const finished = await session.query<Progress>(loadSql('relay/seed-finish'), [slot])
  const progress = finished.rows[0]
  if (progress === undefined) throw new Error('a locked row is gone')
  return progress
}

function inTransaction<T>(
  pool: pg.Pool,
  work: (session: pg.PoolClient) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const transaction = async (session: pg.PoolClient): Promise<T> => {
    // In one message, because a limit on idle transactions counts from the first.
    await session.query(
      `begin; ${loadSql('relay/seed-session')}; ${loadSql('checks/no-transaction-timeout')}`,
    )
    const result = await work(session)
    await session.query('commit')
    return result
  }
  return inSession(pool, transaction, signal)
}

async function inSession<T>(
  pool: pg.Pool,
  work: (session: pg.PoolClient) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const session = await pool.connect()
  try {
    const result = await (signal === undefined ? work(session) : orAborted(work(session), signal))
    session.release()
    return result
  } catch (error) {
    // In the middle of a COPY nothing else can be said to the server, and on a dead line nothing at all;
    // without its session it rolls back.
    session.release(true)
    throw error
  }
}
