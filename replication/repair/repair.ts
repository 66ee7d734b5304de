import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { failpoint } from '../../core/failpoint.ts'
import { HomeportError } from '../../core/errors.ts'
import { publishedTables, type PublishedTable } from '../../core/published-tables.ts'
import { loadSql } from '../../core/sql.ts'
import { readHeartbeat } from '../heartbeat.ts'
import { isFollowing } from '../relay/relay-verdicts.ts'
import { readRelayState } from '../relay/relay-state.ts'
import { passFence } from '../verify/fence.ts'
import type { ExactVerification } from '../verify/findings.ts'
import type { Pace } from '../verify/pace.ts'
import type { Key } from '../verify/row-hash.ts'
import { readSubjects, type Subject } from '../verify/subjects.ts'
import type { VerifyProgress } from '../verify/progress.ts'
import { verifyExact } from '../verify/verify-exact.ts'
import { announceRepairs } from './announce.ts'
import { lockRows, type LockedRows } from './locked-rows.ts'
import { writeNatively } from './native-repair.ts'
import { inBatches, planRepair, type RepairLimits, type RepairPlan, type RepairStep } from './plan.ts'
import { encodeRequest, repairPrefix } from './request.ts'

export interface RepairOptions {
  primary: pg.Pool
  cloud: pg.Pool
  /** the primary, as a role that may replicate */
  replicationUrl: string
  /** all published ones when absent */
  tables?: readonly PublishedTable[]
  /** compare and plan only */
  isDryRun: boolean
  limits: RepairLimits
  /** differing rows of a table that are looked at; more of them are a case for a copy */
  maxRows: number
  pace?: Pace
  /** rows that are held still on the primary at one time (default 200) */
  batchRows?: number
  /** how long the cloud may take to catch up, first, and while rows are held still (default 60 s and 15 s) */
  fenceTimeoutMs?: number
  holdTimeoutMs?: number
  signal?: AbortSignal
  onProgress?: (progress: VerifyProgress) => void
  onStep?: (done: { rows: number; of: number }) => void
}

/** What became of one row: what the cloud's journal says, or `passed`: meanwhile the primary wrote it itself. */
export interface RepairedRow {
  table: string
  key: Key
  action: 'insert' | 'update' | 'delete' | 'refused' | 'passed'
  /** SQLSTATE of a refusal */
  reason: string | null
}

export interface RepairReport {
  /** names the rows' former state in the cloud's table repair_journal; null in a dry run, and without a row to repair */
  run: string | null
  mode: 'native' | 'relay'
  plan: RepairPlan
  rows: readonly RepairedRow[]
  /** of the tables with differences: before the repair, and after it (null in a dry run) */
  before: readonly ExactVerification[]
  after: readonly ExactVerification[] | null
}

/**
 * Makes the cloud's rows what the primary's are where they are proven not to be. Each batch of rows is held still on the
 * primary, the cloud catches up, then the rows are written there: by this process into a cloud that follows by
 * subscription, by the relay at their place in the log otherwise. What they were before is in the cloud's
 * repair_journal, in the same transaction. At the end the tables are compared again. It may be cut off anywhere and run again.
 *
 * @throws HomeportError NOT_FOLLOWING, CLOUD_BEHIND, ROWS_BUSY, LOCK_LOST, CLOUD_FORBIDS; what verifyExact throws.
 */
export async function repair(options: RepairOptions): Promise<RepairReport> {
  const { primary, cloud, limits, isDryRun, maxRows } = options
  const tables = options.tables ?? publishedTables
  const mode = await requireFollowing(cloud)
  const { subjects } = await readSubjects({ primary, cloud }, publishedTables)
  if (!isDryRun) await announceRepairs({ primary, cloud, subjects })
  const startedAt = await cloudTime(cloud)
  const before = await verifyExact({ ...options, tables, maxDifferences: maxRows })
  const plan = planRepair(before, tables, limits)
  const report = { mode, plan, before }
  if (isDryRun) return { ...report, run: null, rows: [], after: null }
  if (plan.steps.length === 0) {
    await resolveQuarantine(cloud, before, startedAt)
    return { ...report, run: null, rows: [], after: null }
  }
  const run = randomUUID()
  const work = { ...options, run, mode }
  const of = plan.steps.reduce((sum, { differences }) => sum + differences.length, 0)
  let rows = 0
  for (const step of plan.steps) {
    const subject = subjects.find(({ table }) => table.name === step.table)
    if (subject === undefined) continue
    for (const batch of inBatches(step, options.batchRows ?? 200)) {
      options.signal?.throwIfAborted()
      await repairBatch(work, subject, batch)
      rows += batch.differences.length
      options.onStep?.({ rows, of })
    }
  }
  await failpoint('repair.before-announce')
  await announceRepairs({ primary, cloud, subjects })
  const outcomes = await readOutcomes(cloud, run, plan.steps)
  const repaired = tables.filter(({ name }) => plan.steps.some(({ table }) => table === name))
  const writtenAt = await cloudTime(cloud)
  const after = await verifyExact({ ...options, tables: repaired })
  await resolveQuarantine(cloud, after, writtenAt)
  return { ...report, run, rows: outcomes, after }
}

type Work = RepairOptions & { run: string; mode: RepairReport['mode'] }

/** @throws HomeportError NOT_FOLLOWING where nothing brings the cloud to the place at which a row can be written. */
async function requireFollowing(cloud: pg.Pool): Promise<RepairReport['mode']> {
  const relay = await readRelayState(cloud)
  if (relay === null) return 'native'
  if (isFollowing(relay)) return 'relay'
  const why =
    relay.stopMessage ?? (relay.state === 'seeding' ? 'the initial copy is not done' : 'no relay runs')
  throw new HomeportError('NOT_FOLLOWING', `the cloud does not follow: ${why}`, {
    hint: relay.stopHint ?? 'start ops relay, then repair',
  })
}

async function repairBatch(work: Work, subject: Subject, step: RepairStep): Promise<void> {
  // First without a lock: nobody at home shall wait for a cloud that is far behind.
  await catchUp(work, subject, work.fenceTimeoutMs ?? 60_000)
  const keys = step.differences.map(({ key }) => key)
  const locked = await lockRows({ primary: work.primary, subject, action: step.action, keys })
  try {
    await failpoint('repair.locked')
    if (locked.keys.length > 0) await writeBatch(work, subject, step.action, locked)
  } finally {
    locked.close()
  }
}

async function writeBatch(
  work: Work,
  subject: Subject,
  action: RepairStep['action'],
  locked: LockedRows,
): Promise<void> {
  const { primary, cloud, run } = work
  if (work.mode === 'relay') {
    const request = { run, table: subject.table.name, action, keys: locked.keys }
    await primary.query(loadSql('repair/request'), [repairPrefix, encodeRequest(request)])
    await failpoint('repair.requested')
  }
  // Behind the request or, without one, behind what the rows are: the locks hold until the cloud has passed it.
  const lsn = await catchUp(work, subject, work.holdTimeoutMs ?? 15_000)
  if (work.mode === 'native') {
    await writeNatively({ cloud, subject, action, locked, origin: { run, lsn } })
  }
  await failpoint('repair.written')
}

/** Waits until the cloud has everything that is committed now; the primary's position of that. */
async function catchUp(work: Work, subject: Subject, timeoutMs: number): Promise<string> {
  const { primary, cloud, signal } = work
  const { rows } = await primary.query<{ lsn: string }>(loadSql('verify/insert-position'))
  const lsn = rows[0]?.lsn ?? '0/0'
  // A beat would wait for the lock on its own row.
  const withBeat = subject.table.name !== 'heartbeat'
  const seen = withBeat ? null : await readHeartbeat(primary)
  const fence = await passFence({
    primary,
    cloud,
    timeoutMs,
    passed: withBeat ? { beat: true } : { beat: false, lsn, atLeastBeat: seen?.beat ?? null },
    ...(signal === undefined ? {} : { signal }),
  })
  if (fence.passed) return lsn
  throw new HomeportError(
    'CLOUD_BEHIND',
    `nothing more was repaired: ${fence.reason ?? 'the cloud is behind'}`,
    {
      hint: 'ops status shows whether replication runs; then run ops repair again',
    },
  )
}

async function cloudTime(cloud: pg.Pool): Promise<string> {
  const { rows } = await cloud.query<{ now: string }>(loadSql('repair/now'))
  return rows[0]?.now ?? ''
}

/** Rows that a relay put aside are there after all, where every row of their table is the same. */
async function resolveQuarantine(
  cloud: pg.Pool,
  results: readonly ExactVerification[],
  before: string,
): Promise<void> {
  const same = results.filter(({ verdict }) => verdict === 'match').map(({ table }) => table)
  if (same.length > 0) await cloud.query(loadSql('repair/resolve-quarantine'), [same, before])
}

async function readOutcomes(
  cloud: pg.Pool,
  run: string,
  steps: readonly RepairStep[],
): Promise<RepairedRow[]> {
  const { rows } = await cloud.query<RepairedRow>(loadSql('repair/outcomes'), [run])
  const name = (table: string, key: Key): string => JSON.stringify([table, key])
  const known = new Set(rows.map(({ table, key }) => name(table, key)))
  const passed = steps.flatMap(({ table, differences }) =>
    differences
      .filter(({ key }) => !known.has(name(table, key)))
      .map(({ key }): RepairedRow => ({ table, key, action: 'passed', reason: null })),
  )
  return [...rows, ...passed]
}
