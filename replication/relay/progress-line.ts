import { formatBytes, formatDuration } from '../../core/amounts.ts'
import type { RelayStatus } from './status-file.ts'

/**
 * The line that a terminal shows while the relay runs: what it does and which way, rows a second, how far the cloud
 * is behind, the spool, and what a person should know. The terminal cuts it off at its end, so what matters most
 * comes first.
 */
export function progressLine(status: RelayStatus, rowsPerSecond: number): string {
  const { spool, isIngestPaused } = status
  return [
    describeState(status),
    `${Math.round(rowsPerSecond).toLocaleString('en')} rows/s`,
    ...describeLag(status),
    ...describeEnd(status),
    ...(isIngestPaused ? ['ingest waits'] : []),
    spool.batches === 0
      ? 'spool empty'
      : `spool ${formatBytes(spool.bytes)} in ${spool.batches.toLocaleString('en')}`,
  ].join(' · ')
}

function describeState({ state, transport, lastError }: RelayStatus): string {
  const isTrouble = ['unreachable', 'spooling', 'stopped'].includes(state)
  if (isTrouble && lastError !== null) return `${state} (${lastError.code})`
  return transport === null ? state : `${state} (${transport})`
}

function describeLag({ lag, state }: RelayStatus): string[] {
  if (lag.seconds === 0 && state === 'following') return ['up to date']
  const parts = [
    lag.seconds === null ? null : describeSeconds(lag.seconds),
    lag.bytes === null ? null : formatBytes(lag.bytes),
  ].filter((part) => part !== null)
  return parts.length === 0 ? [] : [`${parts.join(', ')} behind`]
}

function describeSeconds(seconds: number): string {
  return seconds < 10 ? `${seconds.toFixed(1)} s` : formatDuration(seconds * 1000)
}

/** Nobody needs it as long as it is far away. */
const shownEndSeconds = 86_400

function describeEnd({ slot }: RelayStatus): string[] {
  const seconds = slot?.secondsToCut ?? null
  if (seconds === null || seconds > shownEndSeconds) return []
  return [`slot is cut in ${formatDuration(seconds * 1000)}`]
}

const rateWindowMs = 5_000

/** Rows a second over the last seconds, from a counter that is looked at now and then. */
export class RowRate {
  #looks: readonly { atMs: number; rows: number }[] = []

  /** The rate now that the counter stands at `rows`; 0 at the first look. */
  at(atMs: number, rows: number): number {
    const older = this.#looks.filter((look) => atMs - look.atMs > rateWindowMs).slice(-1)
    const recent = this.#looks.filter((look) => atMs - look.atMs <= rateWindowMs)
    this.#looks = [...older, ...recent, { atMs, rows }]
    const first = this.#looks[0]
    if (first === undefined || atMs <= first.atMs) return 0
    return ((rows - first.rows) * 1000) / (atMs - first.atMs)
  }
}
