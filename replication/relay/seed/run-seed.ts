import { availableParallelism } from 'node:os'
import type pg from 'pg'
import { backoffMs, orAborted, sleep } from '../../../core/backoff.ts'
import { createPool, type Queryable } from '../../../core/db.ts'
import { errorMessage, HomeportError } from '../../../core/errors.ts'
import type { PublishedTable } from '../../../core/published-tables.ts'
import { loadSql } from '../../../core/sql.ts'
import { pinSearchPath } from '../../servers.ts'
import { dropSlot } from '../../slot.ts'
import type { Progress, SeedLink, SeedRange } from '../cloud-link.ts'
import { decide } from '../decide.ts'
import { copyRanges } from './copy-ranges.ts'
import { exportSnapshot, type ExportedSnapshot } from './exported-snapshot.ts'
import { planRanges, readTableReaders, type RangeSize, type TableReader } from './plan-ranges.ts'
import { measureSeed, type SeedProgress } from './seed-progress.ts'
import { openSnapshotSession } from './snapshot-session.ts'
import { watchSlot } from './slot-watch.ts'

/** What there is to copy. */
export type SeedWork =
  /** everything, from a new slot; the tables in `empty` are emptied first */
  | { kind: 'start'; dropSlot: boolean; empty: readonly string[] }
  /** the ranges that an earlier run left, from a later snapshot */
  | { kind: 'resume' }
  /** some tables from a later snapshot; the stream goes on from where the cloud is */
  | { kind: 'tables'; tables: readonly string[]; from: Pick<Progress, 'commitLsn' | 'endLsn'> }

export interface RunSeedOptions {
  /** as the owner of the tables */
  primary: Queryable
  primaryUrl: string
  replicationUrl: string
  cloud: SeedLink
  slot: string
  /** of the primary that answers at replicationUrl */
  identity: { systemIdentifier: string; timeline: number }
  work: SeedWork
  tables: readonly PublishedTable[]
  /** parallel workers (default: 4, or as many as there are processors) */
  jobs?: number
  size?: RangeSize
  /** how long a new slot may wait for open transactions */
  slotTimeoutMs?: number
  stallMs?: number
  /** failures in a row, without a range in between, until it gives up (default 8) */
  patience?: number
  signal?: AbortSignal
  /** the progress row is there: what needs one can begin */
  onBegun?: () => Promise<void>
  onProgress?: (progress: SeedProgress) => void
  onNote?: (text: string) => void
}

export interface SeedReport {
  progress: Progress
  copy: SeedProgress
}

/**
 * The initial copy. Each range is committed in the cloud together with its record, so that a run that was
 * cut off anywhere is continued by the next one. Lost connections are taken up again.
 *
 * @throws HomeportError SLOT_LOST, SLOT_WAITS, DUPLICATE_KEY, SEED_INTERRUPTED after too many failures.
 */
export async function runSeed(options: RunSeedOptions): Promise<SeedReport> {
  const jobs = options.jobs ?? Math.min(4, availableParallelism())
  const pool = createPool({
    connectionString: options.primaryUrl,
    applicationName: 'homeport seed',
    max: jobs,
    onConnect: pinSearchPath,
  })
  try {
    const readers = await readTableReaders(pool, options.tables)
    const snapshot = await beginSeed(options, pool, readers)
    await options.onBegun?.()
    return await copyAll({ ...options, jobs }, pool, readers, snapshot)
  } finally {
    await pool.end()
  }
}

/** Makes the slot, the plan and the progress row; nothing of that when an earlier run has. */
async function beginSeed(
  options: RunSeedOptions,
  pool: pg.Pool,
  readers: ReadonlyMap<string, TableReader>,
): Promise<ExportedSnapshot | null> {
  const { work, slot } = options
  if (work.kind === 'resume') return null
  if (work.kind === 'start' && work.dropSlot) {
    // What the new slot would have to wait for, it is told while the old one is still there.
    await (await takeSnapshot(options, null)).close()
    await dropOldSlot(options)
  }
  const snapshot = await takeSnapshot(options, work.kind === 'start' ? slot : null)
  try {
    const { name, lsn } = snapshot
    const wanted = work.kind === 'start' ? [...readers.keys()] : work.tables
    const session = await openSnapshotSession(pool, name)
    const planned = planRanges(
      session,
      wanted.flatMap((table) => readers.get(table) ?? []),
      options.size,
    )
    const { signal = new AbortController().signal } = options
    const ranges = await orAborted(planned, signal).finally(() => session.release(true))
    const from = work.kind === 'start' ? { commitLsn: lsn, endLsn: lsn } : work.from
    const { systemIdentifier, timeline } = options.identity
    const empty = work.kind === 'start' ? work.empty : work.tables
    const progress = { slot, systemIdentifier, timeline, commitLsn: from.commitLsn, endLsn: from.endLsn }
    await options.cloud.begin({ progress, ranges, empty })
    return snapshot
  } catch (error) {
    await snapshot.close()
    // A slot that nobody reads would keep the primary's log until its disk is full.
    if (work.kind === 'start') await options.primary.query(loadSql('replication/drop-idle-slot'), [slot])
    throw error
  }
}

async function dropOldSlot(options: RunSeedOptions): Promise<void> {
  if (await dropSlot(options.primary, options.slot, { endsReader: false })) return
  throw new HomeportError('SLOT_HELD', `the slot ${options.slot} is in use`, {
    hint: 'stop what reads it (ops relay), then run the same command again',
  })
}

function takeSnapshot(options: RunSeedOptions, slot: string | null): Promise<ExportedSnapshot> {
  const { replicationUrl, primary, slotTimeoutMs } = options
  const timeout = slotTimeoutMs === undefined ? {} : { timeoutMs: slotTimeoutMs }
  return exportSnapshot({ replicationUrl, primary, slot, ...timeout })
}

async function copyAll(
  options: RunSeedOptions & { jobs: number },
  pool: pg.Pool,
  readers: ReadonlyMap<string, TableReader>,
  first: ExportedSnapshot | null,
): Promise<SeedReport> {
  const { cloud, slot, patience = 8 } = options
  const watch = watchSlot({ ...options })
  const signal = AbortSignal.any([watch.lost, ...(options.signal === undefined ? [] : [options.signal])])
  const tally = createTally(options.onProgress)
  let snapshot = first
  try {
    for (let failures = 0; ;) {
      const before = tally.rangesCopied()
      try {
        const ranges = await cloud.ranges(slot)
        tally.show(ranges.filter(({ table }) => isWanted(options.work, table)))
        const open = ranges.filter((range) => range.snapshotLsn === null)
        if (open.length === 0) {
          const progress = await cloud.finish(slot)
          return { progress, copy: tally.measure() }
        }
        snapshot ??= await takeSnapshot(options, null)
        await copyRanges({
          ...options,
          primary: pool,
          snapshot,
          ranges: open,
          readers,
          signal,
          onRange: tally.copied,
          onBytes: tally.sent,
        })
      } catch (error) {
        signal.throwIfAborted()
        if (!mayPass(error)) throw error
        failures = tally.rangesCopied() > before ? 1 : failures + 1
        if (failures > patience) throw interrupted(error)
        options.onNote?.(`the copy was interrupted: ${errorMessage(error)}; trying again`)
        await sleep(backoffMs({ attempt: failures, baseMs: 250, maxMs: 15_000 }), signal)
        if (snapshot?.lost.aborted === true) snapshot = null
      }
    }
  } finally {
    watch.end()
    tally.end()
    await snapshot?.close()
  }
}

function isWanted(work: SeedWork, table: string): boolean {
  return work.kind !== 'tables' || work.tables.includes(table)
}

const passing = new Set(['SNAPSHOT_LOST', 'SEED_STALLED', 'RANGE_TAKEN'])

function mayPass(error: unknown): boolean {
  if (error instanceof HomeportError && passing.has(error.code)) return true
  return decide(error, { hasWorked: true }) !== 'stop'
}

function interrupted(cause: unknown): HomeportError {
  return new HomeportError('SEED_INTERRUPTED', `the copy does not get on: ${errorMessage(cause)}`, {
    hint: 'run the same command again: it goes on where it stopped',
    cause,
  })
}

/** Counts what is copied, and shows it with every range and twice a second. */
function createTally(onProgress: ((progress: SeedProgress) => void) | undefined) {
  const startedAt = performance.now()
  const run = { rows: 0, bytes: 0, ranges: 0 }
  let known: SeedRange[] = []
  const measure = (): SeedProgress =>
    measureSeed(known, { ...run, seconds: (performance.now() - startedAt) / 1000 })
  const timer = setInterval(() => onProgress?.(measure()), 500)
  return {
    measure,
    rangesCopied: () => run.ranges,
    show: (ranges: SeedRange[]): void => {
      known = ranges
      onProgress?.(measure())
    },
    sent: (bytes: number): void => {
      run.bytes += bytes
    },
    copied: (range: SeedRange, rows: number): void => {
      run.rows += rows
      run.ranges += 1
      known = known.map((one) =>
        one.table === range.table && one.number === range.number
          ? { ...one, snapshotLsn: 'copied', rows: String(rows) }
          : one,
      )
      onProgress?.(measure())
    },
    end: (): void => clearInterval(timer),
  }
}
