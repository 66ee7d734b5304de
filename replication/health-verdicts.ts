import { formatBytes, formatDuration } from '../core/amounts.ts'
import type { Finding } from './finding.ts'
import type { ReplicationHealth } from './health.ts'
import { judgeRelay } from './relay/relay-verdicts.ts'
import type { SlotFacts } from './slot.ts'
import type { TableVerification } from './verify/verify-tables.ts'

export interface HealthLimits {
  /** the cloud may be this far behind; no limit when absent */
  maxLagSeconds?: number
  maxLagBytes?: number
  /** of these limits: who has passed one is told to come back to this share of it (default 1) */
  lagBackShare?: number
  /** of what a slot may keep: more is worth a warning (default 0.5) */
  slotShare?: number
}

/** What is wrong with replication: errors need a person, warnings will. */
export function judgeHealth(health: ReplicationHealth, limits: HealthLimits = {}): Finding[] {
  return [
    ...(health.relay === null ? judgeSubscription(health) : judgeRelay(health.relay, health.slot)),
    ...judgeSlot(health, limits),
    ...judgeLag(health, limits),
    ...judgeIndex(health),
  ]
}

function judgeSubscription(health: ReplicationHealth): Finding[] {
  const { subscription, workers } = health
  const finding = (
    code: string,
    message: string,
    fix: string,
    severity: Finding['severity'] = 'error',
  ): Finding => ({
    code,
    side: 'cloud',
    severity,
    message,
    fix,
  })
  if (subscription === null) {
    return [finding('NO_SUBSCRIPTION', 'the cloud does not follow the primary', 'ops setup-replication')]
  }
  if (!subscription.enabled) {
    return [
      finding(
        'SUBSCRIPTION_DISABLED',
        'the subscription is switched off',
        'ops setup-replication switches it on; the log of the cloud server says whether an error did it',
      ),
    ]
  }
  const found: Finding[] = []
  // A worker that met an error is gone until its next attempt, or has not come far since. One that
  // cannot even connect is not counted.
  const stands = (workers?.applyPid ?? null) === null || (health.lag.seconds ?? 0) > 0
  if (health.newApplyErrors > 0 && stands) {
    found.push(
      finding(
        'SUBSCRIPTION_FAILING',
        `a change of the primary cannot be applied (${health.newApplyErrors} attempts failed just now, ${workers?.applyErrors ?? 0} in all)`,
        'ops schema diff names a column or constraint that is in its way; a row the log of the cloud server does: take it out of the cloud, and it goes on by itself',
      ),
    )
  } else if ((workers?.applyPid ?? null) === null) {
    found.push(
      finding(
        'SUBSCRIPTION_NOT_RUNNING',
        'no worker of the subscription runs: the cloud cannot reach the primary' +
          ((workers?.applyErrors ?? 0) > 0 ? ', or a change of it cannot be applied' : ''),
        'ops setup-replication sets address and password of REPLICATION_DATABASE_URL anew, and says why the cloud cannot connect; the log of the cloud server says more',
      ),
    )
  }
  const copying = subscription.tables.filter((table) => table.state !== 'r')
  if (copying.length > 0) {
    const names = copying.map((table) => table.table).join(', ')
    found.push(
      finding(
        'COPYING',
        `the initial copy of ${names} is not done`,
        'wait, or ops setup-replication to watch it',
        'warning',
      ),
    )
  }
  return found
}

/** The slot of a cloud that follows, or should; it is the primary alone that knows about it. */
export function judgeSlot(
  { slot, subscription, relay }: Pick<ReplicationHealth, 'slot' | 'subscription' | 'relay'>,
  limits: HealthLimits = {},
): Finding[] {
  if (subscription === null && relay === null) return []
  const again =
    relay === null
      ? 'ops teardown-replication, empty the tables on the cloud, then ops setup-replication'
      : 'ops reseed copies everything again, from a new slot'
  if (slot !== null) return judgeKeptLog(slot, again, limits)
  const message =
    relay === null
      ? `the slot ${subscription?.slot ?? ''} of the subscription is gone`
      : `the slot ${relay.slot} of the relay is gone`
  return [{ code: 'SLOT_LOST', side: 'primary', severity: 'error', message, fix: again }]
}

/** @param again what to do when log is lost */
export function judgeKeptLog(slot: SlotFacts, again: string, limits: HealthLimits = {}): Finding[] {
  const finding = (code: string, message: string, fix: string, severity: Finding['severity']): Finding => ({
    code,
    side: 'primary',
    severity,
    message,
    fix,
  })
  if (slot.walStatus === 'lost') {
    return [
      finding('SLOT_LOST', `the slot ${slot.name} has lost log that the cloud has not taken`, again, 'error'),
    ]
  }
  if (slot.walStatus === 'unreserved') {
    const fix = 'let the cloud catch up now, or raise max_slot_wal_keep_size'
    return [
      finding('SLOT_AT_RISK', `the slot ${slot.name} will be lost at the next checkpoint`, fix, 'error'),
    ]
  }
  if (slot.safeWalBytes === null) return []
  const keptBytes = Number(slot.retainedBytes)
  const { slotShare = 0.5 } = limits
  if (keptBytes <= slotShare * (keptBytes + Number(slot.safeWalBytes))) return []
  const fix = 'let the cloud catch up, or raise max_slot_wal_keep_size'
  const message = `the slot ${slot.name} has used ${slotShare < 0.5 ? 'about ' : ''}half of max_slot_wal_keep_size`
  return [finding('SLOT_HALF_FULL', message, fix, 'warning')]
}

function judgeLag(health: ReplicationHealth, limits: HealthLimits): Finding[] {
  const { seconds, bytes } = health.lag
  const { maxLagSeconds, maxLagBytes, lagBackShare = 1 } = limits
  const found: Finding[] = []
  const finding = (message: string): Finding => ({
    code: 'LAG',
    side: 'cloud',
    severity: 'error',
    message,
    fix: 'ops status shows whether replication runs and what it waits for',
  })
  if (maxLagSeconds !== undefined && (seconds === null || seconds > maxLagSeconds * lagBackShare)) {
    const behind = seconds === null ? 'has no heartbeat' : `is ${inWords(seconds)} behind`
    found.push(finding(`the cloud ${behind}, the limit is ${maxLagSeconds} s`))
  }
  if (maxLagBytes !== undefined && bytes !== null && bytes > maxLagBytes * lagBackShare) {
    found.push(finding(`the cloud is ${formatBytes(bytes)} behind, the limit is ${formatBytes(maxLagBytes)}`))
  }
  return found
}

function inWords(seconds: number): string {
  return seconds < 60 ? `${seconds.toFixed(1)} s` : formatDuration(seconds * 1000)
}

function judgeIndex(health: ReplicationHealth): Finding[] {
  if (health.index === null || health.index.present) return []
  return [
    {
      code: 'INDEX_MISSING',
      side: 'cloud',
      severity: 'warning',
      message: `the vector index ${health.index.name} of the active model is missing: searches are right but slow`,
      fix: 'ops index',
    },
  ]
}

/** Drift is an error; what could not be settled is a warning, never a match. */
export function judgeTables(tables: readonly TableVerification[]): Finding[] {
  return tables.flatMap((table): Finding[] => {
    if (table.verdict === 'match') return []
    const drift = table.verdict === 'drift'
    return [
      {
        code: drift ? 'DRIFT' : 'UNDETERMINED',
        table: table.table,
        side: 'cloud',
        severity: drift ? 'error' : 'warning',
        message: drift
          ? `${table.table} is not what the primary has`
          : `${table.table}: ${table.reason ?? 'not settled'}`,
        fix: drift
          ? `ops repair ${table.table} shows what it would do, with --apply it does it`
          : `ops verify ${table.table}, when less is written`,
      },
    ]
  })
}
