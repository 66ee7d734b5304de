import { formatBytes, formatDuration } from '../../core/amounts.ts'
import type { Finding, Side } from '../finding.ts'
import type { HealthLimits } from '../health-verdicts.ts'
import type { ReplicationHealth } from '../health.ts'
import type { DiskSpace } from '../relay/primary-disk.ts'
import { isFollowing } from '../relay/relay-verdicts.ts'
import type { WalEnd } from '../relay/wal-forecast.ts'
import type { ServerFacts } from '../server-facts.ts'
import { judgeServer } from '../server-verdicts.ts'
import type { SlotFacts } from '../slot.ts'
import type { Alert, MonitorSample } from './sample.ts'

/** The codes of raised alerts with their severities: who has passed a limit must come back further than to it. */
export type Raised = ReadonlyMap<string, Alert['severity']>

/** Pure: the raised alerts by code; the worst where several have the same. */
export function raisedCodes(alerts: readonly Pick<Alert, 'code' | 'severity'>[]): Raised {
  const codes = new Map<string, Alert['severity']>()
  for (const { code, severity } of alerts) if (codes.get(code) !== 'error') codes.set(code, severity)
  return codes
}

/** A limit, and where something that passed it is well again. */
interface Limit {
  at: number
  back: number
}

function severityOf(
  code: string,
  raised: Raised,
  passes: (pick: (limit: Limit) => number, severity: Finding['severity']) => boolean,
): Finding['severity'] | null {
  const before = raised.get(code)
  if (passes((limit) => (before === 'error' ? limit.back : limit.at), 'error')) return 'error'
  return passes((limit) => (before === undefined ? limit.at : limit.back), 'warning') ? 'warning' : null
}

const hour = 3600
const endsSoon = {
  error: { at: 4 * hour, back: 5 * hour },
  warning: { at: 24 * hour, back: 30 * hour },
}

/** Pure: when the slot is cut or the disk full, at the rate of the last minutes. */
export function judgeForecast(end: WalEnd | null, slot: string, raised: Raised): Finding[] {
  if (end === null) return []
  const code = 'SLOT_ENDS_SOON'
  const severity = severityOf(code, raised, (pick, level) => end.seconds < pick(endsSoon[level]))
  if (severity === null) return []
  const what = endOf(end).replace('the slot', `the slot ${slot}`)
  return [
    {
      code,
      side: 'primary',
      severity,
      message: `${what} in ${formatDuration(end.seconds * 1000)}, at the rate of the last minutes`,
      fix:
        end.what === cutOff
          ? 'ops status shows what the cloud waits for: let it catch up; or raise max_slot_wal_keep_size, where the disk has room for it'
          : 'ops status shows how much of it the slot keeps: let the cloud catch up; or free some of that disk, or give the primary a larger one',
    },
  ]
}

const cutOff = 'it is cut off'

/** Pure: the end in words of the monitor: `the slot is cut`, `the disk of the slot is full`. */
export function endOf(end: WalEnd): string {
  return end.what === cutOff ? 'the slot is cut' : 'the disk of the slot is full'
}

const diskUsed = { error: { at: 0.9, back: 0.85 }, warning: { at: 0.8, back: 0.75 } }

/** Pure: the disk with the primary's log. */
export function judgeDisk(disk: DiskSpace | null, raised: Raised): Finding[] {
  if (disk === null || disk.totalBytes === 0) return []
  const used = 1 - disk.freeBytes / disk.totalBytes
  const severity = severityOf('DISK', raised, (pick, level) => used >= pick(diskUsed[level]))
  if (severity === null) return []
  return [
    {
      code: 'DISK',
      side: 'primary',
      severity,
      message: `the disk with the primary's log is ${Math.floor(used * 100)} % full`,
      fix: 'ops status shows how much of it the slot keeps; free some of it, or give the primary a larger one: a full disk stops every write at home',
    },
  ]
}

/** Without a limit and without a look at the disk: this much log is worth a word. */
const unseenLog: Limit = { at: 4 * 1024 ** 3, back: 3 * 1024 ** 3 }

/** Pure: a slot that keeps much, where nothing else could tell when it is too much. */
export function judgeUnseenDisk(slot: SlotFacts | null, disk: DiskSpace | null, raised: Raised): Finding[] {
  if (slot === null || disk !== null || slot.safeWalBytes !== null || slot.walStatus === 'lost') return []
  const code = 'SLOT_WITHOUT_LIMIT'
  const keptBytes = Number(slot.retainedBytes)
  if (keptBytes < (raised.has(code) ? unseenLog.back : unseenLog.at)) return []
  return [
    {
      code,
      side: 'primary',
      severity: 'warning',
      message: `the slot ${slot.name} keeps ${formatBytes(keptBytes)} of log, and nothing bounds it: max_slot_wal_keep_size is not set, and the disk of the primary cannot be seen from here`,
      fix: 'let the cloud catch up; set max_slot_wal_keep_size on the primary, or RELAY_PRIMARY_DATA to where its data is on this machine',
    },
  ]
}

/** Each of them was said before the next; what has come true, or worse, is not over. */
const endOfSlot = ['SLOT_HALF_FULL', 'SLOT_ENDS_SOON', 'SLOT_AT_RISK', 'SLOT_LOST']
const firstThatHolds = endOfSlot.indexOf('SLOT_AT_RISK')

/** Pure: a slot at risk is no longer half full, and one that is lost ends no longer soon: no reason to say "over". */
export function keepForerunners(found: readonly Finding[], alerts: readonly Alert[]): Finding[] {
  const grade = Math.max(...found.map(({ code }) => endOfSlot.indexOf(code)), -1)
  if (grade < firstThatHolds) return [...found]
  const kept = alerts.filter(
    ({ code }) => endOfSlot.slice(0, grade).includes(code) && !found.some((one) => one.code === code),
  )
  return [
    ...found,
    ...kept.map(({ code, side, severity, message, fix }) => ({ code, side, severity, message, fix })),
  ]
}

/** Pure: limits for this look: who has passed one has to come back further than to it. */
export function easeLimits(limits: HealthLimits, raised: Raised): HealthLimits {
  return {
    ...limits,
    ...(raised.has('LAG') ? { lagBackShare: 0.8 } : {}),
    ...(raised.has('SLOT_HALF_FULL') ? { slotShare: 0.4 } : {}),
  }
}

/** Pure: whether something is there that should bring changes to the cloud. */
export function follows({ relay, subscription }: ReplicationHealth): boolean {
  return relay === null ? subscription?.enabled === true : isFollowing(relay)
}

/**
 * Pure: a heartbeat that does not travel though everything seems to run, as behind a worker that hangs or a network
 * that swallows. Silent where another finding says why.
 */
export function judgeHeartbeat(
  health: ReplicationHealth,
  found: readonly Finding[],
  options: { limitSeconds: number; raised: Raised },
): Finding[] {
  const explains = ({ severity, code }: Finding): boolean =>
    (severity === 'error' && code !== 'LAG') || code === 'COPYING'
  if (!follows(health) || found.some(explains)) return []
  const { seconds } = health.lag
  const limitSeconds = options.limitSeconds * (options.raised.has('HEARTBEAT_STUCK') ? 0.5 : 1)
  if (seconds !== null && seconds <= limitSeconds) return []
  const message =
    seconds === null
      ? 'the cloud never got a heartbeat of the primary'
      : `the last heartbeat that the cloud has is ${formatDuration(seconds * 1000)} old`
  return [
    {
      code: 'HEARTBEAT_STUCK',
      side: 'cloud',
      severity: 'error',
      message: `${message}, though replication seems to run`,
      fix: 'ops status shows what it waits for; a long transaction, a lock in the cloud, or a network that swallows',
    },
  ]
}

/**
 * Pure: a subscription that fails runs between its attempts, so one look sees it and the next does not. It goes on
 * failing until it has caught up.
 */
export function keepFailing(
  health: ReplicationHealth,
  found: readonly Finding[],
  raised: readonly Alert[],
): Finding[] {
  const alert = raised.find(({ code }) => code === 'SUBSCRIPTION_FAILING')
  const stands = (health.workers?.applyPid ?? null) === null || (health.lag.seconds ?? 0) > 0
  const isEnabled = health.subscription?.enabled === true
  if (alert === undefined || !stands || !isEnabled) return [...found]
  const kept = found.filter(({ code }) => code !== 'SUBSCRIPTION_NOT_RUNNING')
  if (kept.some(({ code }) => code === 'SUBSCRIPTION_FAILING')) return kept
  const { code, side, severity, message, fix } = alert
  return [{ code, side, severity, message, fix }, ...kept]
}

const remarkable = ['PGVECTOR_UNSAFE_BUILD', 'PGVECTOR_UNSOUND_VACUUM']

/** Pure: versions that stop or bend replication. An older Postgres in the cloud is none of them. */
export function judgeVersions(primary: ServerFacts, cloud: ServerFacts): Finding[] {
  const both = [...judgeServer('primary', primary), ...judgeServer('cloud', cloud)]
  const found = both.filter(({ code }) => !remarkable.includes(code))
  if (primary.pgvector === null || cloud.pgvector === null || primary.pgvector === cloud.pgvector)
    return found
  return [
    ...found,
    {
      code: 'PGVECTOR_DIFFERS',
      side: 'cloud',
      severity: 'warning',
      message: `pgvector is ${cloud.pgvector} here and ${primary.pgvector} on the primary`,
      fix: 'install the same one on both servers, then on the older: alter extension vector update',
    },
  ]
}

/** Pure: what is worth a remark and no alarm: a pgvector with known faults. */
export function remarksOn(primary: ServerFacts, cloud: ServerFacts): string[] {
  const found = [...judgeServer('primary', primary), ...judgeServer('cloud', cloud)]
  const sidesByRemark = new Map<string, Side[]>()
  for (const { code, side, message, fix } of found) {
    if (!remarkable.includes(code)) continue
    const remark = `${message}; ${fix}`
    sidesByRemark.set(remark, [...(sidesByRemark.get(remark) ?? []), side])
  }
  return [...sidesByRemark].map(([remark, sides]) => `${sides.join(' and ')}: ${remark}`)
}

const lowRecall: Limit = { at: 0.9, back: 0.93 }

/** Pure: whether the cloud's vector index still finds what is nearest. */
export function judgeRecall(recall: MonitorSample['recall'], raised: Raised): Finding[] {
  const limit = raised.has('RECALL_LOW') ? lowRecall.back : lowRecall.at
  if (recall === null || recall.recallAt10 >= limit) return []
  return [
    {
      code: 'RECALL_LOW',
      side: 'cloud',
      severity: 'warning',
      message: `the vector index of model ${recall.model} finds ${Math.floor(recall.recallAt10 * 100)} % of the nearest neighbours`,
      fix: `build it anew: reindex index concurrently embeddings_model_${recall.model}`,
    },
  ]
}

/** Pure: a server that does not answer. */
export function judgeSilence(side: Side, message: string): Finding {
  return {
    code: side === 'primary' ? 'PRIMARY_UNREACHABLE' : 'CLOUD_UNREACHABLE',
    side,
    severity: 'error',
    message,
    fix: 'start the server, or look at the network between here and there; ops status shows what answers',
  }
}
