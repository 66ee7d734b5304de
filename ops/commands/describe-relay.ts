import type { RelayState } from '../../replication/relay/relay-state.ts'
import { isFollowing } from '../../replication/relay/relay-verdicts.ts'

/** What a program is told about the relay. */
export function relayToJson(relay: RelayState | null): unknown {
  if (relay === null) return null
  const { slot, state, endLsn, epoch, sequence, conflicts, quarantined, ranges } = relay
  return {
    slot,
    state,
    running: isFollowing(relay),
    endLsn,
    epoch: Number(epoch),
    batches: Number(sequence),
    holder:
      relay.holderName === null
        ? null
        : { name: relay.holderName, since: relay.heldSince, until: relay.holderUntil, holds: relay.isHeld },
    stop:
      relay.stopCode === null
        ? null
        : { code: relay.stopCode, message: relay.stopMessage, hint: relay.stopHint },
    conflicts,
    quarantined,
    ranges: { copied: ranges.copied, all: ranges.all },
  }
}

/** The relay in one line. */
export function describeRelay(relay: RelayState): string {
  const parts = [
    describeState(relay),
    `cloud at ${relay.endLsn}`,
    ...(relay.conflicts === 0 ? [] : [`${relay.conflicts} conflicts resolved`]),
    ...relay.quarantined.map(({ table, rows }) => `${rows} of ${table} in quarantine`),
  ]
  return parts.join(', ')
}

function describeState(relay: RelayState): string {
  if (relay.state === 'seeding') return `copying: ${relay.ranges.copied} of ${relay.ranges.all} ranges`
  if (relay.stopCode !== null) return `stopped: ${relay.stopCode}`
  if (isFollowing(relay)) return `running: ${relay.holderName ?? 'unknown'}`
  return 'not running'
}
