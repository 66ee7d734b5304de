import { complaints, type Finding } from '../finding.ts'
import type { CloudFacts, HomeFacts } from './facts.ts'

/** How the cloud has been filled; null when it follows nobody. */
export type FollowingMode = 'native' | 'relay' | 'promoted' | null

/** In the mark of a cloud whose home was gone and had a native subscription. */
export const unknownIdentifier = 'unknown'

/** Pure: a mark that is there outweighs what is left of the way before it. */
export function followingMode({ relay, subscription }: CloudFacts): FollowingMode {
  if (relay?.state === 'promoted') return 'promoted'
  if (relay !== null) return 'relay'
  return subscription === null ? null : 'native'
}

const swapped =
  'LOCAL_DATABASE_URL is the old home, PRODUCTION_DATABASE_URL the cloud that takes its place: swap them'

/** A subscription that has heard from home within this time is fed by it. */
const heardLatelySeconds = 30

/** Pure: what no agreement to a loss gets past. */
export function judgePromotion(cloud: CloudFacts, home: HomeFacts | null): Finding[] {
  const { findings, complain } = complaints('cloud')
  const mode = followingMode(cloud)
  if (cloud.server.inRecovery) {
    complain(
      'SERVER_IN_RECOVERY',
      'this server is a standby and takes no writes',
      'put the address of the writable one into PRODUCTION_DATABASE_URL',
    )
    return findings
  }
  // Without home, ops migrate cannot run; the promotion applies them then.
  if (cloud.missingMigrations.length > 0 && home !== null) {
    const message = `${cloud.missingMigrations.length} migrations are missing: ${cloud.missingMigrations.join(', ')}`
    complain('NOT_MIGRATED', message, 'ops migrate')
    return findings
  }
  if (cloud.foreignSlots.length > 0) {
    complain(
      'RELAY_FOREIGN',
      `this database has the relay's record of another cloud (${cloud.foreignSlots.join(', ')}): it is a copy of that one`,
      'promote that one; or, to part with it here: delete from relay_progress',
    )
  }
  if (mode === null && home?.follows === true) {
    complain('SIDES_SWAPPED', 'LOCAL_DATABASE_URL leads to a cloud, which follows a primary', swapped)
    return findings
  }
  if (mode === null) {
    complain(
      'NOT_SET_UP',
      'this cloud follows nobody: there is nothing to promote it from',
      'PRODUCTION_DATABASE_URL is the cloud; a database that nobody fills takes writes as it is',
    )
    return findings
  }
  if (home !== null) judgeHome(cloud, home, complain)
  else if (mode !== 'promoted') judgeSilentHome(cloud, complain)
  return findings
}

type Complain = ReturnType<typeof complaints>['complain']

/** A home that feeds the cloud lives, whether or not this machine reaches it. */
function judgeSilentHome({ relay, workers }: CloudFacts, complain: Complain): void {
  const hint =
    'reach it from here with LOCAL_DATABASE_URL, so that it can be fenced; or stop it, and run this again'
  if (relay?.isHeld === true) {
    complain(
      'HOME_FEEDS',
      `home cannot be reached from here, but its relay (${relay.holderName ?? 'unknown'}) holds the lease until ${relay.holderUntil?.toISOString() ?? 'now'}`,
      `${hint}; a relay that was killed is forgotten after a minute`,
    )
  }
  const silentSeconds = workers?.silentSeconds ?? null
  if (silentSeconds !== null && silentSeconds < heardLatelySeconds) {
    complain(
      'HOME_FEEDS',
      `home cannot be reached from here, but the subscription heard from it ${Math.round(silentSeconds)} s ago`,
      hint,
    )
  }
}

/** What is fenced must be the home that this cloud follows, or followed. */
function judgeHome(cloud: CloudFacts, home: HomeFacts, complain: Complain): void {
  const { relay, subscription } = cloud
  const correct =
    'correct LOCAL_DATABASE_URL: it is the home that this cloud follows, or followed until it was promoted'
  if (home.follows) {
    complain('SIDES_SWAPPED', 'LOCAL_DATABASE_URL leads to a cloud: it follows a primary', correct)
  } else if (home.fencedFor !== null && home.fencedFor !== cloud.slot) {
    complain(
      'FENCED_FOR_OTHER',
      `home gives way to another cloud (slot ${home.fencedFor}), which is being made the primary or is one: two primaries would part`,
      'put that cloud into PRODUCTION_DATABASE_URL, to finish it, or to take it back with ops promote --cancel; ' +
        'if it is gone for good, on home: drop function homeport_fence() cascade',
    )
  } else if (isOther(cloud, home)) {
    complain(
      'PRIMARY_CHANGED',
      'LOCAL_DATABASE_URL leads to another server than the one that this cloud follows: ' +
        (isKnown(relay) && home.systemIdentifier !== relay.systemIdentifier
          ? `system identifier ${home.systemIdentifier}, not ${relay.systemIdentifier}`
          : `it has no slot ${subscription?.slot ?? cloud.slot}, nor the heartbeat that the cloud has`),
      correct,
    )
  }
  const copying = subscription?.tables.filter((table) => table.state !== 'r').length ?? 0
  if (relay?.state === 'promoted' || (relay?.state !== 'seeding' && copying === 0)) return
  const again = relay === null ? 'ops setup-replication' : 'ops setup-replication --mode relay'
  complain('SEED_UNFINISHED', 'the initial copy is not complete, and home lives', `${again} goes on with it`)
}

function isKnown(relay: CloudFacts['relay']): relay is NonNullable<CloudFacts['relay']> {
  return relay !== null && relay.systemIdentifier !== unknownIdentifier
}

function isOther(cloud: CloudFacts, home: HomeFacts): boolean {
  const { relay, subscription } = cloud
  const isSameServer = home.systemIdentifier === null || home.systemIdentifier === relay?.systemIdentifier
  if (isKnown(relay) && !isSameServer) return true
  if (relay?.state === 'promoted' && isKnown(relay)) return false
  // Neither a subscription nor an identifier says which database it is, but that one keeps the slot.
  if (home.isFenced || home.slots.some((one) => one.name === (subscription?.slot ?? cloud.slot))) return false
  return relay?.state === 'promoted' || !hasBeats(cloud, home)
}

/** A slot may be gone; the beats of home went up to the cloud's and on. */
function hasBeats(cloud: CloudFacts, home: HomeFacts): boolean {
  if (cloud.heartbeat === null || home.heartbeat === null) return false
  return BigInt(home.heartbeat.beat) >= BigInt(cloud.heartbeat.beat)
}
