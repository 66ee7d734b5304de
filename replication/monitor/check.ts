import { HomeportError } from '../../core/errors.ts'
import type { Finding } from '../finding.ts'
import { judgeTables, type HealthLimits } from '../health-verdicts.ts'
import { readHealth, type ReplicationHealth } from '../health.ts'
import { beat, waitForCloud } from '../heartbeat.ts'
import type { DiskSpace } from '../relay/primary-disk.ts'
import type { TableVerification } from '../verify/verify-tables.ts'
import type { ServerFacts } from '../server-facts.ts'
import type { MonitorHistory } from './history.ts'
import { judgeLook, leastStuckSeconds } from './judge-look.ts'
import { readPast } from './past-log.ts'
import type { MonitorSample } from './sample.ts'
import { lookAtServers, readFittings, type Fittings } from './server-look.ts'
import { endOf, follows, remarksOn } from './verdicts.ts'
import { verifyContent, type VerificationOptions, type Verified } from './verification.ts'

/** One look at replication, with a comparison of everything. */
export interface MonitorReport {
  at: string
  /** false when an error was found: drift, a limit passed, a subscription or slot that does not work */
  ok: boolean
  health: ReplicationHealth
  tables: readonly TableVerification[]
  findings: readonly Finding[]
  /** with the primary's log; null where it cannot be known */
  disk: DiskSpace | null
  /** when the slot is cut or the disk full; null while not in sight, and where no monitor looked in the last minutes */
  forecast: MonitorSample['forecast']
  versions: { primary: Versions; cloud: Versions }
  /** what is worth knowing and no finding */
  remarks: readonly string[]
}

export interface Versions {
  postgres: string
  pgvector: string | null
}

export interface CheckOptions extends VerificationOptions {
  limits?: HealthLimits
  /** where the primary's data is on this machine, where the server does not say it */
  dataFolder?: string
  /** of a monitor that stays: a forecast needs more than one look */
  history?: Pick<MonitorHistory, 'samples' | 'openAlerts'> | null
  signal?: AbortSignal
}

/**
 * Beats, measures, compares every published table and judges it all, as {@link runMonitor} does. What takes long
 * (recall) is for that alone, and a forecast needs the history of one.
 */
export async function checkReplication(options: CheckOptions): Promise<MonitorReport> {
  const { primary, cloud, signal, limits = {}, dataFolder, history = null } = options
  const timeoutMs = options.fenceTimeoutMs ?? 15_000
  const before = await readHealth(primary, cloud)
  const travelled = follows(before) ? await travelTime(options, timeoutMs) : null
  // Without one the lag of a cloud that stands still would look like none.
  if (!follows(before)) await beat(primary)
  // A cloud that let a beat wait that long will not catch up in the next moment either.
  const fenceTimeoutMs = travelled === null ? 1000 : timeoutMs
  const content = await verifyContent({ ...options, fenceTimeoutMs })
  signal?.throwIfAborted()
  const folder = dataFolder === undefined ? {} : { dataFolder }
  const past = await readPast(history, before.slot?.name)
  const look = await lookAtServers({ primary, cloud, before: { health: before, log: past.log }, ...folder })
  const { health, disk, forecast } = look
  // One that arrived shows that what failed meanwhile is over.
  if (travelled !== null) Object.assign(health, { newApplyErrors: 0 }).lag.seconds = travelled
  const fittings = await readFittings({ primary, cloud })
  // A beat of now says little about a cloud that had the last one, however long ago that was.
  const isStuck = (before.lag.seconds ?? Infinity) > leastStuckSeconds
  const judged = judgeLook(look, { limits, beatSeconds: 5, alerts: past.alerts })
  const findings = [
    ...judged.flatMap((seen) => seen.findings).filter(({ code }) => isStuck || code !== 'HEARTBEAT_STUCK'),
    ...fittings.findings,
    ...content.findings,
    ...judgeTables(content.tables),
  ]
  return {
    at: new Date().toISOString(),
    ok: findings.every((finding) => finding.severity !== 'error'),
    health,
    tables: content.tables,
    findings,
    disk,
    forecast: forecast === null ? null : { seconds: forecast.seconds, what: endOf(forecast) },
    versions: versionsOf(fittings),
    remarks: remarksOn(fittings.primary, fittings.cloud),
  }
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

function versionsOf({ primary, cloud }: Fittings): MonitorReport['versions'] {
  const of = ({ versionText, pgvector }: ServerFacts): Versions => ({ postgres: versionText, pgvector })
  return { primary: of(primary), cloud: of(cloud) }
}

/** Pure: a comparison in a line. */
export function summarize({ tables, comparedRows }: Verified, lagSeconds: number | null): string {
  const count = (verdict: TableVerification['verdict']): number =>
    tables.filter((table) => table.verdict === verdict).length
  const rows = tables.reduce((sum, table) => sum + table.primaryRows, 0)
  const compared = comparedRows === null ? '' : `, ${comparedRows} of them compared now`
  const parts = [`${count('match')} of ${tables.length} tables match (${rows} rows${compared})`]
  if (count('drift') > 0) parts.push(`${count('drift')} drifted`)
  if (count('undetermined') > 0) parts.push(`${count('undetermined')} undetermined`)
  parts.push(lagSeconds === null ? 'the heartbeat does not arrive' : `${lagSeconds.toFixed(2)} s behind`)
  return parts.join(', ')
}
