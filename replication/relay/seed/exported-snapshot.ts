import type { Queryable } from '../../../core/db.ts'
import { HomeportError } from '../../../core/errors.ts'
import { createSlot } from '../../create-slot.ts'
import { openReplicationSession } from '../replication-session.ts'

/** One moment of the primary that any number of its sessions can see, for as long as it is held open. */
export interface ExportedSnapshot {
  /** for SET TRANSACTION SNAPSHOT */
  name: string
  /** it holds exactly the transactions that ended here or before */
  lsn: string
  /** aborts when the session that holds it is gone; no further session can see it then */
  lost: AbortSignal
  close(): Promise<void>
}

export interface ExportSnapshotOptions {
  replicationUrl: string
  /** as the owner, to say what a new slot waits for */
  primary: Queryable
  /** the slot that is made and stays; a temporary one when null, which goes with the snapshot */
  slot: string | null
  /** how long the slot may wait for open transactions (default 30 s) */
  timeoutMs?: number
}

/**
 * A snapshot at a known position of the log: only a new replication slot exports one.
 *
 * @throws HomeportError SLOT_WAITS, SLOT_EXISTS, TOO_FEW_SLOTS; what openReplicationSession throws.
 */
export async function exportSnapshot(options: ExportSnapshotOptions): Promise<ExportedSnapshot> {
  const session = await openReplicationSession(options.replicationUrl)
  try {
    const made = await createSlot(session, { ...options, temporaryPrefix: 'hpseed' })
    const lost = new AbortController()
    session.on('end', () => lost.abort(new HomeportError('SNAPSHOT_LOST', 'the primary closed the snapshot')))
    return {
      name: made.snapshot,
      lsn: made.lsn,
      lost: lost.signal,
      close: () => session.end().catch(() => undefined),
    }
  } catch (error) {
    await session.end().catch(() => undefined)
    throw error
  }
}
