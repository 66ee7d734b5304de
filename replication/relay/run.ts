import type { Logger } from '../../core/log.ts'
import { RelayProcess } from './relay-process.ts'
import { openSpool } from './spool/spool.ts'
import { openStateFolder } from './state-folder.ts'

export interface RunRelayOptions {
  /** REPLICATION_DATABASE_URL */
  primaryUrl: string
  /** RELAY_DATABASE_URL: the cloud, straight */
  cloudUrl?: string
  /** PRODUCTION_API_URL and PRODUCTION_API_KEY: the cloud over HTTPS */
  gateway?: { url: string; apiKey: string }
  /** RELAY_STATE_PATH */
  statePath: string
  /** of health and metrics, on 127.0.0.1; 0 is any free one */
  port: number
  /** rows of segments a batch over HTTPS */
  maxSegments: number
  /** of the log budget, 0 to 1: from here on what cannot be delivered goes into the spool */
  walShare: number
  /** RELAY_PRIMARY_DATA: where the primary's data is on this machine */
  primaryDataFolder?: string
  /** rows that the cloud refuses are put aside */
  quarantine: boolean
  /** end when the cloud has everything that was committed at the start */
  untilCaughtUp: boolean
  fallBackAfterMs: number
  probeMs: number
  leaseSeconds: number
  /** ends the relay in order */
  signal: AbortSignal
  log: Logger
  /** remarks for a person; they are logged anyway */
  onNote?: (text: string) => void
  /** a line that replaces the one before, about once a second */
  onProgress?: (text: string) => void
}

export interface RelayOutcome {
  /** by the signal, or because there was nothing more to do */
  reason: 'stopped' | 'caughtUp'
  slot: string | null
  /** the cloud has everything until here; null when it was never reached */
  endLsn: string | null
  transport: 'direct' | 'gateway'
  batches: number
  rows: number
  /** updates and deletes that found no row, and what was done is recorded */
  resolved: number
  quarantined: number
  /** batches that went through the spool */
  spooled: number
  seconds: number
}

/**
 * Pushes every committed change of the primary to the cloud, once, in order and whole, until the signal aborts.
 * A side that cannot be reached is waited for.
 *
 * @throws HomeportError for everything that no repetition cures, after it was written down in the cloud (where that
 *   may be) and in the status file: see start-checks.ts, apply/errors.ts and stream/stream-errors.ts.
 */
export async function runRelay(options: RunRelayOptions): Promise<RelayOutcome> {
  const folder = await openStateFolder(options.statePath)
  try {
    const spool = await openSpool({ folder: folder.spoolFolder, log: options.log, signal: options.signal })
    return await (await RelayProcess.create(options, folder, spool)).run()
  } finally {
    folder.close()
  }
}
