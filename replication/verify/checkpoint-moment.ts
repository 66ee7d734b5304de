import { sleep } from '../../core/backoff.ts'
import { loadSql } from '../../core/sql.ts'
import type { SideMoment } from './checkpoint-lines.ts'
import { isFlushed, type FlushPosition } from './checkpoint-guards.ts'
import type { Snapshot } from './snapshot.ts'

/** One side as its snapshot shows it, for a table; null where it has no such table. */
export async function readMoment(
  { client, lsn }: Snapshot,
  table: string,
  systemIdentifier: string | null,
): Promise<SideMoment | null> {
  const { rows } = await client.query<Omit<SideMoment, 'systemIdentifier' | 'lsn'>>(
    loadSql('verify/moment'),
    [table],
  )
  return rows[0] === undefined ? null : { ...rows[0], systemIdentifier, lsn }
}

/** The writer of the log flushes what nobody waits for about twice a second. */
const flushTimeoutMs = 2000

/** Waits until everything that a snapshot shows is on the disk of its server; false when that takes too long. */
export async function waitForFlush(snapshot: Snapshot, signal?: AbortSignal): Promise<boolean> {
  const end = performance.now() + flushTimeoutMs
  for (;;) {
    const { rows } = await snapshot.client.query<FlushPosition>(loadSql('verify/flush-position'))
    if (rows[0] !== undefined && isFlushed(snapshot.lsn, rows[0])) return true
    if (performance.now() >= end) return false
    await sleep(50, signal)
  }
}
