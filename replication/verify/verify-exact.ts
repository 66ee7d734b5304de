import type pg from 'pg'
import { publishedTables, type PublishedTable } from '../../core/published-tables.ts'
import { nothingReused, type Checkpoint, type Reused, type TableCheckpoint } from './checkpoint.ts'
import { compareTable } from './compare-table.ts'
import { judgeFindings, nothingFound, type ExactVerification, type TableFindings } from './findings.ts'
import type { Pace } from './pace.ts'
import { startMeter, type Meter, type VerifyProgress } from './progress.ts'
import { recordVerdicts } from './record.ts'
import { followRounds } from './rounds.ts'
import { readSubjects, type Subject } from './subjects.ts'
import { isWhole, tablesOfTier, type Tier } from './tier.ts'
import type { Window } from './window.ts'

export interface VerifyExactOptions {
  primary: pg.Pool
  cloud: pg.Pool
  /** the primary, as a role that may replicate */
  replicationUrl: string
  /** all published ones when absent */
  tables?: readonly PublishedTable[]
  /** default both */
  tier?: Tier
  /** default default */
  pace?: Pace
  /** comparisons before a row that keeps changing is called undetermined (default 10) */
  rounds?: number
  /** how long the cloud may take to pass the primary (default 60 s) */
  fenceTimeoutMs?: number
  /** named per table (default 20); the others are counted */
  maxDifferences?: number
  /** write the verdicts to the verifications table of the primary, where a row was compared as a whole; default true */
  record?: boolean
  leafRows?: number
  signal?: AbortSignal
  onTable?: (result: ExactVerification) => void
  onProgress?: (progress: VerifyProgress) => void
  onPause?: (lagBytes: number) => void
}

export interface ResumableOptions extends VerifyExactOptions {
  /** what a run that was cut off has left, and what this one leaves if it is; none is used when absent */
  checkpoint?: Checkpoint | null
}

export type ResumedVerification = ExactVerification & Reused

/**
 * Compares tables of the two servers exactly, as they were at one position of the primary's log, while
 * writes go on; see {@link openWindow} for why a difference is proof. Rows that were being written are looked at
 * again, up to `rounds` times. In the order of the tables; nothing is returned of a run that was cut off, but with a
 * {@link Checkpoint} the next one need not hash again what is still as it was.
 *
 * @throws HomeportError what openWindow throws; the signal's reason.
 */
export async function verifyExact(options: ResumableOptions): Promise<ResumedVerification[]> {
  const { checkpoint, signal } = options
  const tier = options.tier ?? 'both'
  const tables = tablesOfTier(options.tables ?? publishedTables, tier)
  const { subjects, broken } = await readSubjects(options, tables)
  const done = new Map<string, ExactVerification>()
  const finish = (table: PublishedTable, findings: TableFindings): void => {
    const result = judgeFindings(table.name, findings)
    done.set(table.name, result)
    options.onTable?.(result)
  }
  for (const { table, reason } of broken) finish(table, { ...nothingFound, reason })
  const meter = await startMeter(options, subjects)
  const run = {
    ...options,
    maxDifferences: options.maxDifferences ?? defaultMaxDifferences,
    look: async (window: Window, subject: Subject) => {
      const place = await checkpoint?.begin(window, subject, signal)
      return lookAtAll(options, meter, window, subject, place)
    },
    finish,
  }
  // The marker of the others is a beat, so that table is compared on its own, without one.
  const isHeartbeat = ({ table }: Subject): boolean => table.name === 'heartbeat'
  const others = subjects.filter((subject) => !isHeartbeat(subject))
  await followRounds({ ...run, subjects: others, withBeat: true })
  await followRounds({ ...run, subjects: subjects.filter(isHeartbeat), withBeat: false })
  const inOrder = tables.flatMap((table) => done.get(table.name) ?? [])
  if (options.record ?? true) {
    const whole = new Set(tables.filter((table) => isWhole(table, tier)).map((table) => table.name))
    await recordVerdicts(
      options,
      inOrder.filter((result) => whole.has(result.table)),
    )
  }
  checkpoint?.finish(tables.map((table) => table.name))
  return inOrder.map((result) => ({ ...result, ...(checkpoint?.reusedOf(result.table) ?? nothingReused) }))
}

export const defaultMaxDifferences = 20

/** Compares every row of a table. */
export function lookAtAll(
  options: Pick<VerifyExactOptions, 'maxDifferences' | 'leafRows' | 'signal'>,
  { throttle, onRows }: Meter,
  window: Window,
  subject: Subject,
  checkpoint?: TableCheckpoint | null,
): Promise<TableFindings> {
  return compareTable({
    window,
    subject,
    throttle,
    checkpoint: checkpoint ?? null,
    maxDifferences: options.maxDifferences ?? defaultMaxDifferences,
    onRows: (rows) => onRows(subject.table.name, rows),
    ...(options.leafRows === undefined ? {} : { leafRows: options.leafRows }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
}
