import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { orAborted, sleep } from '../core/backoff.ts'
import { createPool, explainConnectionError, type Queryable } from '../core/db.ts'
import { errorMessage, HomeportError } from '../core/errors.ts'
import { loadSql } from '../core/sql.ts'
import type { Finding } from './finding.ts'
import { judgeHealth, judgeTables, type HealthLimits } from './health-verdicts.ts'
import { readHealth, type ReplicationHealth } from './health.ts'
import { beat, waitForCloud } from './heartbeat.ts'
import { isFollowing } from './relay/relay-verdicts.ts'
import { readServerFacts } from './server-facts.ts'
import { refuseWrongServers } from './server-verdicts.ts'
import { nameSetting, pinSearchPath } from './servers.ts'
import { verifyTables, type TableVerification } from './verify/verify-tables.ts'

/** One look at replication. */
export interface MonitorReport {
  at: string
  /** false when an error was found: drift, a limit passed, a subscription or slot that does not work */
  ok: boolean
  health: ReplicationHealth
  tables: readonly TableVerification[]
  findings: readonly Finding[]
}

export interface CheckOptions {
  primary: pg.Pool
  cloud: pg.Pool
  limits?: HealthLimits
  /** how long a heartbeat and the cloud's catching up may take */
  fenceTimeoutMs?: number
  signal?: AbortSignal
}

/** Beats, measures, compares every published table and judges it all. */
export async function checkReplication(options: CheckOptions): Promise<MonitorReport> {
  const signal = options.signal === undefined ? {} : { signal: options.signal }
  const timeoutMs = options.fenceTimeoutMs ?? 15_000
  const before = await readHealth(options.primary, options.cloud)
  const { relay } = before
  const follows = relay === null ? before.subscription?.enabled === true : isFollowing(relay)
  const travelled = follows ? await travelTime(options, timeoutMs) : null
  // Without one the lag of a cloud that stands still would look like none.
  if (!follows) await beat(options.primary)
  // A cloud that let a beat wait that long will not catch up in the next moment either.
  const fenceTimeoutMs = travelled === null ? 1000 : timeoutMs
  const tables = await verifyTables({
    primary: options.primary,
    cloud: options.cloud,
    ...signal,
    fenceTimeoutMs,
  })
  const health = await readHealth(options.primary, options.cloud, before)
  // One that arrived shows that what failed meanwhile is over.
  if (travelled !== null) Object.assign(health, { newApplyErrors: 0 }).lag.seconds = travelled
  const findings = [
    ...judgeHealth(health, options.limits),
    ...judgeTables(tables, relay === null ? 'native' : 'relay'),
  ]
  const ok = findings.every((finding) => finding.severity !== 'error')
  return { at: new Date().toISOString(), ok, health, tables, findings }
}

/** Seconds a heartbeat takes to the cloud; null when it did not arrive. */
async function travelTime(options: CheckOptions, timeoutMs: number): Promise<number | null> {
  try {
    const signal = options.signal === undefined ? {} : { signal: options.signal }
    const { primary, cloud } = options
    return (await waitForCloud({ primary, cloud, timeoutMs, ...signal })).lagSeconds
  } catch (error) {
    if (error instanceof HomeportError && error.code === 'CLOUD_BEHIND') return null
    throw error
  }
}

/** Deletes tombstones that every follower has read long ago. Returns how many. */
export async function pruneTombstones(primary: Queryable, days = 7): Promise<number> {
  const result = await primary.query(loadSql('replication/prune-tombstones'), [days])
  return result.rowCount ?? 0
}

export interface MonitorEvent {
  at: string
  event: 'verified' | 'problem' | 'solved' | 'unreachable' | 'reached' | 'pruned'
  message: string
}

export interface RunMonitorOptions {
  primaryUrl: string
  cloudUrl: string
  signal: AbortSignal
  /** default 5 */
  beatSeconds?: number
  /** default 300 */
  verifySeconds?: number
  limits?: HealthLimits
  onEvent?: (event: MonitorEvent) => void
  /** the same as a line of text */
  onNote?: (text: string) => void
}

/**
 * Beats, watches and verifies until the signal aborts; then it returns. Says only what changes: a
 * server that cannot be reached is said once and tried again at every beat.
 */
export async function runMonitor(options: RunMonitorOptions): Promise<void> {
  const looking = openPools(options, lookTimeoutMs)
  const verifying = openPools(options, verifyTimeoutMs)
  const say = (event: MonitorEvent['event'], message: string): void => {
    options.onEvent?.({ at: new Date().toISOString(), event, message })
    options.onNote?.(`${event}: ${message}`)
  }
  const known = new Map<string, string>()
  let unreachable = ''
  let verifyAt = 0
  let areKnown = false
  let last: ReplicationHealth | undefined
  const { signal } = options
  try {
    while (!options.signal.aborted) {
      try {
        // Before the first beat: one that is written into the cloud is damage.
        if (!areKnown) await orAborted(refuseWrongPools(looking), signal)
        areKnown = true
        const due = performance.now() >= verifyAt
        const look = await orAborted(beatAndLook(options, looking, last), signal)
        const { findings, health } = due
          ? await orAborted(verifyAndPrune(options, verifying, say), signal)
          : look
        last = health
        if (due) verifyAt = performance.now() + (options.verifySeconds ?? 300) * 1000
        if (unreachable !== '') say('reached', 'both servers answer again')
        unreachable = ''
        sayChanges(known, findings, due, say)
      } catch (error) {
        if (options.signal.aborted) break
        if (error instanceof HomeportError && error.exitCode === 2) throw error
        const message = await orAborted(explainFailure(options, looking, error), signal).catch(errorMessage)
        if (signal.aborted) break
        if (message !== unreachable) say('unreachable', message)
        unreachable = message
      }
      await sleep((options.beatSeconds ?? 5) * 1000, options.signal).catch((error: unknown) => {
        if (!options.signal.aborted) throw error
      })
    }
  } finally {
    // A server that hangs does not answer a farewell either.
    const closed = [looking, verifying].flatMap(({ primary, cloud }) => [primary.end(), cloud.end()])
    await Promise.race([Promise.all(closed), delay(2000, undefined, { ref: false })])
  }
}

/** A look takes milliseconds; a server that does not answer one in this time hangs. */
const lookTimeoutMs = 15_000
/** One statement of a comparison: hashing a table whole, 70,000 vectors a second. */
const verifyTimeoutMs = 30 * 60_000

interface Pools {
  primary: pg.Pool
  cloud: pg.Pool
}

function openPools(options: RunMonitorOptions, queryTimeoutMs: number): Pools {
  const pool = (connectionString: string): pg.Pool =>
    createPool({
      connectionString,
      applicationName: 'homeport monitor',
      max: 3,
      queryTimeoutMs,
      onConnect: pinSearchPath,
    })
  return { primary: pool(options.primaryUrl), cloud: pool(options.cloudUrl) }
}

async function refuseWrongPools({ primary, cloud }: Pools): Promise<void> {
  refuseWrongServers(await readServerFacts(primary), await readServerFacts(cloud))
}

/** Which server does not answer, and why, where that is what an error was about. */
async function explainFailure(options: RunMonitorOptions, pools: Pools, error: unknown): Promise<string> {
  const sides = [
    ['primary', pools.primary, options.primaryUrl],
    ['cloud', pools.cloud, options.cloudUrl],
  ] as const
  const answers = await Promise.allSettled(sides.map(([, pool]) => pool.query('select 1')))
  const silent = sides.flatMap(([side, , connectionString], place) => {
    const answer = answers[place]
    if (answer?.status !== 'rejected') return []
    const applicationName = 'homeport monitor'
    return [nameSetting(side, explainConnectionError(answer.reason, { connectionString, applicationName }))]
  })
  return silent.length === 0 ? errorMessage(error) : silent.map((one) => one.message).join('; ')
}

type Look = Pick<MonitorReport, 'findings' | 'health'>
type Say = (event: MonitorEvent['event'], message: string) => void

async function verifyAndPrune(
  options: RunMonitorOptions,
  { primary, cloud }: Pools,
  say: Say,
): Promise<Look> {
  const limits = options.limits === undefined ? {} : { limits: options.limits }
  const report = await checkReplication({ primary, cloud, signal: options.signal, ...limits })
  say('verified', summarize(report))
  const pruned = await pruneTombstones(primary)
  if (pruned > 0) say('pruned', `${pruned} tombstones older than 7 days`)
  return report
}

async function beatAndLook(
  options: RunMonitorOptions,
  { primary, cloud }: Pools,
  last: ReplicationHealth | undefined,
): Promise<Look> {
  const health = await readHealth(primary, cloud, last)
  await beat(primary)
  return { health, findings: judgeHealth(health, options.limits) }
}

/** Tells what is new and what is over. Drift is looked for only by a verification. */
function sayChanges(
  known: Map<string, string>,
  findings: readonly Finding[],
  verified: boolean,
  say: Say,
): void {
  const name = ({ code, side, table }: Finding): string => [code, side, table].join(' ')
  const now = new Map(findings.map((finding) => [name(finding), finding.message]))
  for (const [key, message] of now) {
    if (!known.has(key)) say('problem', message)
    known.set(key, message)
  }
  for (const [key, message] of [...known]) {
    const aboutContent = key.startsWith('DRIFT') || key.startsWith('UNDETERMINED')
    if (now.has(key) || (aboutContent && !verified)) continue
    known.delete(key)
    say('solved', message)
  }
}

/** A verification in a line. */
export function summarize(report: MonitorReport): string {
  const count = (verdict: TableVerification['verdict']): number =>
    report.tables.filter((table) => table.verdict === verdict).length
  const rows = report.tables.reduce((sum, table) => sum + table.primaryRows, 0)
  const parts = [`${count('match')} of ${report.tables.length} tables match (${rows} rows)`]
  if (count('drift') > 0) parts.push(`${count('drift')} drifted`)
  if (count('undetermined') > 0) parts.push(`${count('undetermined')} undetermined`)
  const seconds = report.health.lag.seconds
  parts.push(seconds === null ? 'the heartbeat does not arrive' : `${seconds.toFixed(2)} s behind`)
  return parts.join(', ')
}
