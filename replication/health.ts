import type { Queryable } from '../core/db.ts'
import { lsnBytesBetween } from '../core/lsn.ts'
import { readHeartbeat } from './heartbeat.ts'
import { readSubscriptionWorkers, type SubscriptionWorkers } from './initial-copy.ts'
import { readRelayState, type RelayState } from './relay/relay-state.ts'
import { readSlots, type SlotFacts } from './slot.ts'
import { readSubscription, type SubscriptionState } from './subscription.ts'
import { planVectorIndex, readVectorIndexState, vectorIndexName } from './vector-index.ts'

/** What replication looks like at one moment, without comparing any content. */
export interface ReplicationHealth {
  subscription: Omit<SubscriptionState, 'connection'> | null
  /** the relay that fills the cloud; null in native mode */
  relay: RelayState | null
  workers: SubscriptionWorkers | null
  /** errors of the apply worker since the look before this one; 0 when this is the first */
  newApplyErrors: number
  /** the slot of this cloud's subscription or relay */
  slot: SlotFacts | null
  /** slots of ours that this cloud does not use: of other clouds, or left over */
  otherSlots: readonly SlotFacts[]
  lag: {
    /** log that the cloud has not confirmed or, in relay mode, not committed; null without a slot */
    bytes: number | null
    /** 0 when the cloud has the last heartbeat, else how old its own is; null when it has none */
    seconds: number | null
  }
  index: { model: number; name: string; present: boolean } | null
}

export async function readHealth(
  primary: Queryable,
  cloud: Queryable,
  before?: ReplicationHealth,
): Promise<ReplicationHealth> {
  const [subscription, relay, workers, slots, ours, theirs, vectors] = await Promise.all([
    readSubscription(cloud),
    readRelayState(cloud),
    readSubscriptionWorkers(cloud),
    readSlots(primary),
    readHeartbeat(primary),
    readHeartbeat(cloud),
    readVectorIndexState(cloud),
  ])
  const slotName = relay?.slot ?? subscription?.slot
  const slot = slots.find((one) => one.name === slotName) ?? null
  const active = vectors.models.find((model) => model.state === 'active')
  return {
    subscription: subscription === null ? null : withoutSecret(subscription),
    relay,
    workers,
    newApplyErrors: before === undefined ? 0 : countNewErrors(before.workers, workers),
    slot,
    otherSlots: slots.filter((one) => one !== slot),
    lag: {
      bytes: bytesBehind(slot, relay),
      seconds: secondsBehind(ours, theirs),
    },
    index:
      active === undefined
        ? null
        : { model: active.id, name: vectorIndexName(active.id), present: planVectorIndex(vectors).present },
  }
}

/** A relay may have acknowledged what lies in its spool: the cloud has what it says itself. */
function bytesBehind(slot: SlotFacts | null, relay: RelayState | null): number | null {
  if (slot === null) return null
  return relay === null ? Number(slot.lagBytes) : lsnBytesBetween(relay.endLsn, slot.currentLsn)
}

/** Counters can also begin anew. */
function countNewErrors(before: SubscriptionWorkers | null, now: SubscriptionWorkers | null): number {
  return Math.max(0, (now?.applyErrors ?? 0) - (before?.applyErrors ?? 0))
}

type BeatSeen = { beat: string; beatAt: Date; ageSeconds: number } | null

/** Both beats carry the primary's clock, so the two machines' clocks never meet. */
export function secondsBehind(primary: BeatSeen, cloud: BeatSeen): number | null {
  if (primary === null || cloud === null) return null
  if (BigInt(cloud.beat) >= BigInt(primary.beat)) return 0
  const apartSeconds = (primary.beatAt.getTime() - cloud.beatAt.getTime()) / 1000
  return Math.max(0, apartSeconds + primary.ageSeconds)
}

function withoutSecret(subscription: SubscriptionState): Omit<SubscriptionState, 'connection'> {
  const { oid, enabled, binary, streaming, disableOnError, slot, publications, tables } = subscription
  return { oid, enabled, binary, streaming, disableOnError, slot, publications, tables }
}
