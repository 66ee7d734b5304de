import { lsnBytesBetween } from '../../core/lsn.ts'
import type { CloudSide } from './cloud-side.ts'
import type { Flow } from './flow.ts'
import type { Guard } from './guard.ts'
import type { StoredMemory } from './memory-file.ts'
import type { PressureWatch } from './pressure-watch.ts'
import type { PrimarySide } from './primary-side.ts'
import type { Spool } from './spool/spool.ts'
import type { RelayState, RelayStatus } from './status-file.ts'
import type { Transport } from './transport-choice.ts'
import type { WalFacts, WalVerdict } from './wal-budget.ts'

/** Everything the relay knows about itself at one moment. */
export interface RelayView {
  nowMs: number
  isStopped: boolean
  /** the stream was opened */
  isRunning: boolean
  transport: Transport
  isCloudReached: boolean
  isPrimaryReached: boolean
  slot: string | null
  /** of the primary's log */
  walLsn: string | null
  /** the cloud has everything until here */
  cloudLsn: string | null
  /** commit time of the oldest change that the cloud does not have, as far as it was read; null when it has them all */
  oldestWaitingAt: string | null
  wal: { facts: WalFacts; verdict: WalVerdict } | null
  isIngestPaused: boolean
  spool: RelayStatus['spool']
  memory: StoredMemory | null
}

/** What the parts of a relay say now. */
export function viewOf(parts: {
  primary: PrimarySide
  cloud: CloudSide
  guard: Guard
  spool: Spool
  watch: PressureWatch | null
  flow: Flow | null
}): RelayView {
  const { primary, cloud, guard, spool, watch, flow } = parts
  const { memory, slot } = guard
  return {
    nowMs: Date.now(),
    isStopped: false,
    isRunning: flow !== null,
    transport: cloud.transport,
    isCloudReached: cloud.session !== null || cloud.lastError === null,
    isPrimaryReached: primary.lastError === null,
    slot,
    walLsn: watch?.walLsn ?? primary.facts?.walLsn ?? null,
    cloudLsn: memory?.cloudLsn ?? null,
    oldestWaitingAt: flow?.oldestWaitingAt ?? null,
    wal: watch?.facts && watch.verdict ? { facts: watch.facts, verdict: watch.verdict } : null,
    isIngestPaused: watch?.isIngestPaused ?? false,
    spool: { batches: spool.batches, bytes: spool.bytes, firstAfter: spool.firstAfter, endLsn: spool.endLsn },
    memory,
  }
}

/** What the relay does, in one word; pure. */
export function stateOf(view: RelayView): RelayState {
  if (view.isStopped) return 'stopped'
  if (!view.isRunning && view.isCloudReached && view.isPrimaryReached) return 'starting'
  const isSpoolEmpty = view.spool.batches === 0
  if (!view.isCloudReached) return isSpoolEmpty ? 'unreachable' : 'spooling'
  if (!view.isPrimaryReached) return 'unreachable'
  return isSpoolEmpty ? 'following' : 'draining'
}

/** How far the cloud is behind; pure. Clocks of this machine and the primary's are taken for one: the relay runs at home. */
export function lagOf(view: RelayView): RelayStatus['lag'] {
  const { walLsn, cloudLsn, oldestWaitingAt, nowMs } = view
  const bytes = walLsn === null || cloudLsn === null ? null : lsnBytesBetween(cloudLsn, walLsn)
  if (oldestWaitingAt === null) return { bytes, seconds: view.isRunning ? 0 : null }
  return { bytes, seconds: Math.max(0, (nowMs - Date.parse(oldestWaitingAt)) / 1000) }
}

/** The status file's and /health's content. */
export function statusOf(
  view: RelayView,
  since: {
    startedAt: string
    state: RelayState
    at: string
    rows: number
    lastError: RelayStatus['lastError']
  },
): RelayStatus {
  const { wal, slot } = view
  return {
    state: since.state,
    since: since.at,
    startedAt: since.startedAt,
    transport: view.transport,
    lag: lagOf(view),
    slot:
      slot === null
        ? null
        : {
            name: slot,
            retainedBytes: wal?.facts.retainedBytes ?? null,
            usedShare: wal?.verdict.usedShare ?? null,
            secondsToCut: wal?.verdict.secondsToCut ?? null,
          },
    spool: view.spool,
    isIngestPaused: view.isIngestPaused,
    rows: since.rows,
    lastError: since.lastError,
  }
}
