import type { Queryable } from '../../core/db.ts'
import { sleep } from '../../core/backoff.ts'
import { loadSql } from '../../core/sql.ts'
import { beat, readHeartbeat } from '../heartbeat.ts'
import { readRelayState } from '../relay/relay-state.ts'
import { readSubscription } from '../subscription.ts'

export interface FenceOptions {
  primary: Queryable
  cloud: Queryable
  /**
   * Write a beat and wait for it, or (for the heartbeat table itself) only wait until the cloud has
   * passed this position and this beat.
   */
  passed: { beat: true } | { beat: false; lsn: string; atLeastBeat: string | null }
  timeoutMs: number
  signal?: AbortSignal
}

export interface FenceOutcome {
  passed: boolean
  /** why the cloud did not pass, in words */
  reason: string | null
}

/**
 * Waits until the cloud has applied everything that was committed on the primary before the call.
 * Two witnesses, either is enough: the beat is visible in the cloud, or the cloud has passed the
 * position: a subscription confirms in the slot what it has committed and flushed, in order; a relay
 * commits its position in the cloud together with the data (the slot's may lie ahead, in its spool).
 */
export async function passFence(options: FenceOptions): Promise<FenceOutcome> {
  const way = await chooseWay(options)
  if (typeof way === 'string') return { passed: false, reason: way }
  const goal = options.passed.beat ? await writeGoal(options.primary) : goalOf(options.passed)
  const startedAt = performance.now()
  for (let pollMs = 5; ; pollMs = Math.min(pollMs * 1.5, 250)) {
    const arrived = goal.beat === null ? null : await readHeartbeat(options.cloud)
    if (goal.beat !== null && arrived !== null && BigInt(arrived.beat) >= goal.beat) {
      return { passed: true, reason: null }
    }
    if (await way.hasPassed(goal.lsn)) return { passed: true, reason: null }
    if (performance.now() - startedAt > options.timeoutMs) {
      const seconds = Math.round(options.timeoutMs / 1000)
      return { passed: false, reason: `the cloud did not catch up within ${seconds} s` }
    }
    await sleep(pollMs, options.signal)
  }
}

interface Way {
  hasPassed: (lsn: string) => Promise<boolean>
}

/** How the position is asked for; or why there is no use in waiting, in words. */
async function chooseWay({ primary, cloud }: FenceOptions): Promise<Way | string> {
  const relay = await readRelayState(cloud)
  if (relay !== null) {
    if (relay.state === 'seeding') return 'the initial copy is not done'
    if (relay.state === 'promoted') return 'the cloud was promoted: it follows nobody'
    if (relay.state === 'stopped')
      return `the relay has stopped${relay.stopCode === null ? '' : `: ${relay.stopCode}`}`
    return { hasPassed: (lsn) => ask(cloud, 'checks/relay-passed', [relay.slot, lsn]) }
  }
  const subscription = await readSubscription(cloud)
  if (subscription === null) return 'there is no subscription'
  if (!subscription.enabled) return 'the subscription is switched off'
  const copying = subscription.tables.filter((table) => table.state !== 'r')
  if (copying.length > 0) return 'the initial copy is not done'
  return { hasPassed: (lsn) => ask(primary, 'checks/slot-confirmed', [subscription.slot, lsn]) }
}

async function ask(db: Queryable, name: string, values: unknown[]): Promise<boolean> {
  const { rows } = await db.query<{ passed: boolean }>(loadSql(name), values)
  return rows[0]?.passed === true
}

interface Goal {
  beat: bigint | null
  lsn: string
}

async function writeGoal(primary: Queryable): Promise<Goal> {
  const written = await beat(primary)
  // Read after the beat is committed, and so flushed: everything before lies below it.
  const { rows } = await primary.query<{ lsn: string }>('select pg_current_wal_lsn()::text as "lsn"')
  return { beat: BigInt(written.beat), lsn: rows[0]?.lsn ?? written.lsn }
}

function goalOf(passed: { lsn: string; atLeastBeat: string | null }): Goal {
  return { beat: passed.atLeastBeat === null ? null : BigInt(passed.atLeastBeat), lsn: passed.lsn }
}
