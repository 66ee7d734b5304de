import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { orAborted } from '../../../core/backoff.ts'
import { failpoint } from '../../../core/failpoint.ts'
import { errorCode, HomeportError } from '../../../core/errors.ts'
import { fragment, identifier, joinSql, renderSql } from '../../../core/sql.ts'
import { rangeCondition } from '../../verify/row-hash.ts'
import type { SeedLink, SeedRange } from '../cloud-link.ts'
import type { ExportedSnapshot } from './exported-snapshot.ts'
import type { TableReader } from './plan-ranges.ts'
import { openSnapshotSession } from './snapshot-session.ts'

export interface CopyRangesOptions {
  /** at least `jobs` sessions */
  primary: pg.Pool
  cloud: SeedLink
  slot: string
  snapshot: Pick<ExportedSnapshot, 'name' | 'lsn' | 'lost'>
  ranges: readonly SeedRange[]
  readers: ReadonlyMap<string, TableReader>
  jobs: number
  /** nothing moving anywhere for this long is a broken line (default 2 min) */
  stallMs?: number
  signal?: AbortSignal
  onRange?: (range: SeedRange, rows: number) => void
  onBytes?: (bytes: number) => void
}

/**
 * Copies ranges by parallel workers, each in its own session of the snapshot, until all are there or one
 * has failed: then the others stop too, and its error is thrown. What was copied stays.
 */
export async function copyRanges(options: CopyRangesOptions): Promise<void> {
  const queue = [...options.ranges]
  const failed = new AbortController()
  const signals = [
    failed.signal,
    options.snapshot.lost,
    ...(options.signal === undefined ? [] : [options.signal]),
  ]
  const signal = AbortSignal.any(signals)
  const stall = watchForStall(options.stallMs ?? 120_000, failed)
  const watched: CopyRangesOptions = {
    ...options,
    onBytes: (bytes) => {
      stall.moved()
      options.onBytes?.(bytes)
    },
  }
  const workers = Array.from({ length: Math.min(options.jobs, queue.length) }, () =>
    work(watched, queue, signal).catch((error: unknown) => {
      // The first one is the cause; the others only heard of it.
      failed.abort(signal.aborted ? signal.reason : error)
      throw failed.signal.reason
    }),
  )
  try {
    await Promise.all(workers)
  } finally {
    await Promise.allSettled(workers)
    stall.end()
  }
}

async function work(options: CopyRangesOptions, queue: SeedRange[], signal: AbortSignal): Promise<void> {
  const session = await openSnapshotSession(options.primary, options.snapshot.name, signal)
  try {
    for (let range = queue.shift(); range !== undefined; range = queue.shift()) {
      signal.throwIfAborted()
      const rows = await copyOne(session, range, options, signal)
      options.onRange?.(range, rows)
      await failpoint('seed.after-range')
    }
  } finally {
    session.release(true)
  }
}

async function copyOne(
  session: pg.PoolClient,
  range: SeedRange,
  options: CopyRangesOptions,
  signal: AbortSignal,
): Promise<number> {
  const reader = options.readers.get(range.table)
  if (reader === undefined) throw new Error(`there is no reader for ${range.table}`)
  const { table, sql } = reader
  const rows = meter(options.onBytes)
  const source = session.query(
    copyTo(
      renderSql('relay/seed-copy-out', {
        table: identifier(table.name),
        columns: joinSql(table.columns.map((column) => fragment(`t.${identifier(column).sql}`))),
        condition: rangeCondition(sql, range),
      }),
    ),
  )
  const read = pipeline(source, rows)
  const taken = options.cloud
    .copyRange({
      slot: options.slot,
      range,
      columns: table.columns,
      snapshotLsn: options.snapshot.lsn,
      rows,
      signal,
    })
    .finally(() => rows.destroy())
  const [reading, taking] = await orAborted(Promise.allSettled([read, taken]), signal)
  if (reading.status === 'fulfilled' && taking.status === 'fulfilled') return taking.value.rows
  // Each end breaks the other; what the primary said itself comes first, then what the cloud said.
  if (source.errored !== null) throw source.errored
  if (taking.status === 'rejected') throw explainCloudError(taking.reason, range)
  throw new HomeportError('RANGE_TAKEN', 'a range was copied by another process meanwhile')
}

function meter(onBytes: ((bytes: number) => void) | undefined): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      onBytes?.(chunk.length)
      done(null, chunk)
    },
  })
}

function watchForStall(stallMs: number, failed: AbortController): { moved: () => void; end: () => void } {
  let movedAt = performance.now()
  const timer = setInterval(
    () => {
      if (performance.now() - movedAt < stallMs) return
      const seconds = Math.round(stallMs / 1000)
      failed.abort(
        new HomeportError('SEED_STALLED', `nothing was copied for ${seconds} s: the line is broken`),
      )
    },
    Math.min(stallMs, 1000),
  )
  return {
    moved: () => {
      movedAt = performance.now()
    },
    end: () => clearInterval(timer),
  }
}

function explainCloudError(error: unknown, range: SeedRange): unknown {
  if (errorCode(error) !== '23505') return error
  return new HomeportError(
    'DUPLICATE_KEY',
    `${range.table} on the cloud has rows that this copy did not bring: somebody writes there`,
    { hint: `find out who does; then: ops reseed ${range.table}`, cause: error },
  )
}
