import type pg from 'pg'
import { publishedTables, type PublishedTable } from '../../core/published-tables.ts'
import { sleep } from '../../core/backoff.ts'
import { readHeartbeat } from '../heartbeat.ts'
import { passFence, type FenceOutcome } from './fence.ts'
import { findDifferences, type Candidate } from './find-differences.ts'
import { proveDifferences, type Difference } from './prove.ts'
import { recordVerdicts } from './record.ts'
import { openSnapshot, type Snapshot } from './snapshot.ts'
import { settleKeys } from './settle.ts'
import { isReplaced } from './replaced-table.ts'
import { readSubjects, type Subject } from './subjects.ts'
import { hashTable, sameBucket } from './table-hash.ts'

export interface TableVerification {
  table: string
  verdict: 'match' | 'drift' | 'undetermined'
  /** published rows */
  primaryRows: number
  cloudRows: number
  /** proven ones, at most `maxDifferences` */
  differences: readonly Difference[]
  /** whether there are, or may be, more than these */
  moreDifferences: boolean
  /** why it is undetermined, in words */
  reason: string | null
  /** the primary's log position of the comparison */
  lsn: string
}

export interface VerifyOptions {
  primary: pg.Pool
  cloud: pg.Pool
  tables?: readonly PublishedTable[]
  /** comparisons before a table that keeps changing is called undetermined */
  rounds?: number
  /** how long the cloud may take to pass the primary */
  fenceTimeoutMs?: number
  maxDifferences?: number
  /** write the verdicts to the verifications table of the primary; default true */
  record?: boolean
  leafRows?: number
  signal?: AbortSignal
  onTable?: (result: TableVerification) => void
}

/** One comparison of one table, before anything is proven. */
interface Comparison {
  subject: Subject
  result: TableVerification
  candidates: readonly Candidate[]
  complete: boolean
}

interface Outcome {
  result: TableVerification
  /** the rows that differed were all being written: another comparison may settle it */
  moving: boolean
}

/**
 * Compares every published table of the two servers exactly, by hashes that are computed there, while
 * writes go on. `match` means equal hashes of all rows; `drift` means that at least one row is proven
 * wrong; a table that still moves after all rounds, or whose cloud side is not caught up, is
 * `undetermined`. The verdicts are written to the primary, in the order of the tables.
 */
export async function verifyTables(options: VerifyOptions): Promise<TableVerification[]> {
  const tables = options.tables ?? publishedTables
  const { subjects, broken } = await readSubjects(options, tables)
  const done = new Map<string, TableVerification>()
  const finish = (result: TableVerification): void => {
    done.set(result.table, result)
    options.onTable?.(result)
  }
  for (const { table, reason } of broken) finish({ ...empty(table), reason })
  let pending = subjects
  const rounds = options.rounds ?? 5
  for (let round = 1; pending.length > 0; round += 1) {
    const outcomes = await verifyOnce(options, pending)
    for (const outcome of outcomes) if (!outcome.moving || round >= rounds) finish(outcome.result)
    pending = pending.filter((subject) => !done.has(subject.table.name))
    if (pending.length > 0) await sleep(Math.min(100 * round, 300), options.signal)
  }
  const inOrder = tables.flatMap((table) => done.get(table.name) ?? [])
  if (options.record ?? true) await recordVerdicts(options, inOrder)
  return inOrder
}

function empty(table: PublishedTable): TableVerification {
  return {
    table: table.name,
    verdict: 'undetermined',
    primaryRows: 0,
    cloudRows: 0,
    differences: [],
    moreDifferences: false,
    reason: null,
    lsn: '0/0',
  }
}

async function verifyOnce(options: VerifyOptions, subjects: readonly Subject[]): Promise<Outcome[]> {
  // The fence writes a heartbeat, so that table is compared on its own, behind a fence that does not.
  const isHeartbeat = (subject: Subject): boolean => subject.table.name === 'heartbeat'
  const groups = [subjects.filter((one) => !isHeartbeat(one)), subjects.filter(isHeartbeat)]
  const outcomes: Outcome[] = []
  for (const [place, group] of groups.entries()) {
    if (group.length > 0) outcomes.push(...(await verifyGroup(options, group, place === 0)))
  }
  return outcomes
}

async function verifyGroup(
  options: VerifyOptions,
  subjects: readonly Subject[],
  withBeat: boolean,
): Promise<Outcome[]> {
  const primary = await openSnapshot(options.primary)
  const comparisons: Comparison[] = []
  let fence: FenceOutcome
  try {
    fence = await fenceSnapshot(options, primary, withBeat)
    const cloud = await openSnapshot(options.cloud)
    try {
      for (const subject of subjects) {
        options.signal?.throwIfAborted()
        comparisons.push(await compare(options, subject, primary, cloud))
      }
    } finally {
      await cloud.close()
    }
  } finally {
    await primary.close()
  }
  const outcomes: Outcome[] = []
  for (const comparison of comparisons) outcomes.push(await judge(options, comparison, fence))
  return outcomes
}

async function fenceSnapshot(
  options: VerifyOptions,
  snapshot: Snapshot,
  withBeat: boolean,
): Promise<FenceOutcome> {
  if (withBeat) return fenceWithBeat(options)
  const seen = await readHeartbeat(snapshot.client)
  const passed = { beat: false, lsn: snapshot.lsn, atLeastBeat: seen?.beat ?? null } as const
  return passFence({ ...fenceOptions(options), passed })
}

function fenceWithBeat(options: VerifyOptions): Promise<FenceOutcome> {
  return passFence({ ...fenceOptions(options), passed: { beat: true } })
}

function fenceOptions(options: VerifyOptions) {
  return {
    primary: options.primary,
    cloud: options.cloud,
    timeoutMs: options.fenceTimeoutMs ?? 30_000,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  }
}

async function compare(
  options: VerifyOptions,
  subject: Subject,
  primary: Snapshot,
  cloud: Snapshot,
): Promise<Comparison> {
  const [ours, theirs] = await Promise.all([
    hashTable(primary.client, subject.primarySql),
    hashTable(cloud.client, subject.cloudSql),
  ])
  const counted = {
    ...empty(subject.table),
    primaryRows: ours.rows,
    cloudRows: theirs.rows,
    lsn: primary.lsn,
  }
  if (await isReplaced({ primary, cloud }, subject.table.name)) {
    return { subject, result: counted, candidates: [], complete: false }
  }
  if (sameBucket(ours, theirs)) {
    return { subject, result: { ...counted, verdict: 'match' }, candidates: [], complete: true }
  }
  const found = await findDifferences({
    primary: primary.client,
    cloud: cloud.client,
    primarySql: subject.primarySql,
    cloudSql: subject.cloudSql,
    primaryRows: ours.rows,
    cloudRows: theirs.rows,
    limit: 500,
    ...(options.leafRows === undefined ? {} : { leafRows: options.leafRows }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
  return { subject, result: counted, ...found }
}

async function judge(options: VerifyOptions, comparison: Comparison, fence: FenceOutcome): Promise<Outcome> {
  const { result, subject } = comparison
  if (result.verdict === 'match') return { result, moving: false }
  if (!fence.passed) return { result: { ...result, reason: fence.reason }, moving: false }
  const proof = {
    primary: options.primary,
    cloud: options.cloud,
    primarySql: subject.primarySql,
    cloudSql: subject.cloudSql,
    columns: subject.table.columns,
    passFence: async () => (await fenceWithBeat(options)).passed,
  }
  const proven = await proveDifferences(comparison.candidates, proof)
  if (proven.length === 0 && comparison.complete && subject.table.name !== 'heartbeat') {
    // The rest of the table was equal; what was being written is followed row by row.
    const settled = await settleKeys(comparison.candidates, { ...proof, rounds: 5 })
    proven.push(...settled.differences)
    if (proven.length === 0 && settled.open.length === 0) {
      return { result: { ...result, verdict: 'match' }, moving: false }
    }
  }
  if (proven.length === 0) {
    return { result: { ...result, reason: 'it changed during every comparison' }, moving: true }
  }
  const shown = proven.slice(0, options.maxDifferences ?? 20)
  const moreDifferences = !comparison.complete || shown.length < comparison.candidates.length
  return { result: { ...result, verdict: 'drift', differences: shown, moreDifferences }, moving: false }
}
