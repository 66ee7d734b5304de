import type { Queryable } from '../core/db.ts'
import { sleep } from '../core/backoff.ts'
import { HomeportError } from '../core/errors.ts'
import { loadSql } from '../core/sql.ts'

export interface Beat {
  /** counts up by one */
  beat: string
  beatAt: Date
  /** the primary's log position just before the beat */
  lsn: string
}

export interface HeartbeatState extends Beat {
  /** by the clock of the server that was asked */
  ageSeconds: number
}

/** Writes the next heartbeat on the primary; it travels to the cloud like any other row. */
export async function beat(primary: Queryable): Promise<Beat> {
  const { rows } = await primary.query<Beat>(loadSql('replication/beat'))
  const written = rows[0]
  if (written === undefined) throw new HomeportError('HEARTBEAT', 'the heartbeat was not written')
  return written
}

/** The last heartbeat a server has; null when it has none. */
export async function readHeartbeat(db: Queryable): Promise<HeartbeatState | null> {
  const { rows } = await db.query<HeartbeatState>(loadSql('checks/heartbeat'))
  return rows[0] ?? null
}

export interface WaitForCloudOptions {
  primary: Queryable
  cloud: Queryable
  timeoutMs?: number
  signal?: AbortSignal
  onProgress?: (waitedMs: number) => void
}

/**
 * Writes a heartbeat and waits until the cloud has it: from then on the cloud has everything that was
 * committed on the primary before the call. `lagSeconds` is the time the beat travelled, by this
 * machine's clock.
 *
 * @throws HomeportError CLOUD_BEHIND when it does not arrive in time (default 60 s).
 */
export async function waitForCloud(
  options: WaitForCloudOptions,
): Promise<{ lagSeconds: number; beat: Beat }> {
  const written = await beat(options.primary)
  const startedAt = performance.now()
  const timeoutMs = options.timeoutMs ?? 60_000
  for (let pollMs = 10; ; pollMs = Math.min(pollMs * 1.5, 250)) {
    const arrived = await readHeartbeat(options.cloud)
    const waitedMs = performance.now() - startedAt
    if (arrived !== null && BigInt(arrived.beat) >= BigInt(written.beat)) {
      return { lagSeconds: waitedMs / 1000, beat: written }
    }
    if (waitedMs > timeoutMs) {
      throw new HomeportError(
        'CLOUD_BEHIND',
        `the cloud did not get a heartbeat within ${Math.round(timeoutMs / 1000)} s`,
        { hint: 'ops status shows whether the subscription runs' },
      )
    }
    options.onProgress?.(waitedMs)
    await sleep(pollMs, options.signal)
  }
}
