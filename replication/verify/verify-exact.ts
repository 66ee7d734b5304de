import type pg from 'pg'
import { sleep } from '../../core/backoff.ts'
import { publishedTables, type PublishedTable } from '../../core/published-tables.ts'
import { loadSql } from '../../core/sql.ts'
import { readHealth } from '../health.ts'
import { compareTable, recheckKeys } from './compare-table.ts'
import { isOpen, judgeFindings, type ExactVerification, type TableFindings } from './findings.ts'
import { Throttle, type Pace } from './pace.ts'
import { recordVerdicts } from './record.ts'
import { readSubjects, type Subject } from './subjects.ts'
import { isWhole, tablesOfTier, type Tier } from './tier.ts'
import { openWindow, type Window } from './window.ts'

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

export interface VerifyProgress {
  table: string
  rows: number
  /** by what the planner believes; 0 when it knows nothing */
  rowsExpected: number
  rowsPerSecond: number
  /** null when nobody can say */
  secondsLeft: number | null
}

/**
 * Compares tables of the two servers exactly, as they were at one position of the primary's log, while
 * writes go on; see {@link openWindow} for why a difference is proof. Rows that were being written are looked at
 * again, up to `rounds` times. In the order of the tables; nothing is returned of a run that was cut off.
 *
 * @throws HomeportError what openWindow throws; the signal's reason.
 */
export async function verifyExact(options: VerifyExactOptions): Promise<ExactVerification[]> {
  const tier = options.tier ?? 'both'
  const tables = tablesOfTier(options.tables ?? publishedTables, tier)
  const { subjects, broken } = await readSubjects(options, tables)
  const done = new Map<string, ExactVerification>()
  const finish = (table: PublishedTable, findings: TableFindings): void => {
    const result = judgeFindings(table.name, findings)
    done.set(table.name, result)
    options.onTable?.(result)
  }
  for (const { table, reason } of broken) finish(table, { ...nothing, reason })
  const run = { ...options, finish, ...(await prepare(options, subjects)) }
  // The marker of the others is a beat, so that table is compared on its own, without one.
  const isHeartbeat = ({ table }: Subject): boolean => table.name === 'heartbeat'
  const others = subjects.filter((subject) => !isHeartbeat(subject))
  await verifyGroup(run, others, true)
  await verifyGroup(run, subjects.filter(isHeartbeat), false)
  const inOrder = tables.flatMap((table) => done.get(table.name) ?? [])
  if (options.record ?? true) {
    const whole = new Set(tables.filter((table) => isWhole(table, tier)).map((table) => table.name))
    await recordVerdicts(
      options.primary,
      inOrder.filter((result) => whole.has(result.table)),
    )
  }
  return inOrder
}

const nothing: TableFindings = {
  primaryRows: 0,
  cloudRows: 0,
  shown: [],
  proven: 0,
  open: [],
  reason: null,
  lsn: '0/0',
}

interface Run extends VerifyExactOptions {
  throttle: Throttle
  onRows: (table: string, rows: number) => void
  finish: (table: PublishedTable, findings: TableFindings) => void
}

async function prepare(
  options: VerifyExactOptions,
  subjects: readonly Subject[],
): Promise<Pick<Run, 'throttle' | 'onRows'>> {
  const { primary, cloud, signal, onPause } = options
  const throttle = new Throttle({
    pace: options.pace ?? 'default',
    readLagBytes: async () => (await readHealth(primary, cloud)).lag.bytes,
    ...(signal === undefined ? {} : { signal }),
    ...(onPause === undefined ? {} : { onPause }),
  })
  const names = subjects.map(({ table }) => table.name)
  const { rows } = await primary.query<{ table: string; rows: number }>(loadSql('verify/expected-rows'), [
    names,
  ])
  const rowsExpected = rows.reduce((sum, one) => sum + one.rows, 0)
  const startedAt = performance.now()
  let compared = 0
  return {
    throttle,
    onRows: (table, count) => {
      compared += count
      const seconds = (performance.now() - startedAt) / 1000
      options.onProgress?.({ table, ...measure({ rows: compared, rowsExpected, seconds }) })
    },
  }
}

/** Pure: rate and time left. */
export function measure(run: {
  rows: number
  rowsExpected: number
  seconds: number
}): Omit<VerifyProgress, 'table'> {
  const { rows, rowsExpected, seconds } = run
  const rowsPerSecond = seconds > 0 ? rows / seconds : 0
  const left = rowsExpected - rows
  const isKnown = rowsPerSecond > 0 && left > 0
  return {
    rows,
    rowsExpected,
    rowsPerSecond: Math.round(rowsPerSecond),
    secondsLeft: isKnown ? left / rowsPerSecond : null,
  }
}

async function verifyGroup(run: Run, subjects: readonly Subject[], withBeat: boolean): Promise<void> {
  const rounds = run.rounds ?? 10
  const findings = new Map<Subject, TableFindings>(
    subjects.map((subject) => [subject, { ...nothing, open: 'all' }]),
  )
  for (let round = 1; findings.size > 0; round += 1) {
    const pending = [...findings.keys()]
    const tables = pending.map(({ table }) => table)
    const window = await openWindow({ ...run, tables, withBeat })
    try {
      for (const subject of pending) {
        const found = await look(run, window, subject, findings.get(subject) ?? nothing)
        findings.set(subject, found)
        // Without the cloud's passing, a further round would wait as long again for nothing.
        if (round < rounds && window.fence.passed && isOpen(found)) continue
        findings.delete(subject)
        run.finish(subject.table, found)
      }
    } finally {
      await window.close()
    }
    if (findings.size > 0) await sleep(Math.min(100 * round, 500), run.signal)
  }
}

function look(run: Run, window: Window, subject: Subject, before: TableFindings): Promise<TableFindings> {
  const options = {
    window,
    subject,
    maxDifferences: run.maxDifferences ?? 20,
    ...(run.signal === undefined ? {} : { signal: run.signal }),
  }
  if (before.open !== 'all') return recheckKeys({ ...options, keys: before.open, before })
  return compareTable({
    ...options,
    throttle: run.throttle,
    onRows: (rows) => run.onRows(subject.table.name, rows),
    ...(run.leafRows === undefined ? {} : { leafRows: run.leafRows }),
  })
}
