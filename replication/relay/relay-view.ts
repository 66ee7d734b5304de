import { formatBytes, formatDuration } from '../../core/amounts.ts'
import { lsnBytesBetween } from '../../core/lsn.ts'
import type { StoredMemory } from './memory-file.ts'
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

/** The line that a terminal shows: what it does, which way, rows a second, lag and spool. */
export function liveLine(status: RelayStatus, rowsPerSecond: number): string {
  const { lag, spool, slot } = status
  const behind = [
    lag.seconds === null ? null : formatDuration(lag.seconds * 1000),
    lag.bytes === null ? null : formatBytes(lag.bytes),
  ].filter((part) => part !== null)
  const cut = slot?.secondsToCut ?? null
  return [
    `${status.state} (${status.transport ?? 'no way yet'})`,
    `${Math.round(rowsPerSecond)} rows/s`,
    ...(behind.length === 0 ? [] : [`behind ${behind.join(', ')}`]),
    ...(spool.batches === 0 ? [] : [`spool ${formatBytes(spool.bytes)}`]),
    ...(cut === null || cut > 24 * 3600 ? [] : [`the slot is cut in ${formatDuration(cut * 1000)}`]),
    ...(status.isIngestPaused ? ['ingest waits'] : []),
  ].join(' · ')
}
