import type pg from 'pg'
import { randomBytes } from 'node:crypto'
import { connect, type Queryable } from '../../../core/db.ts'
import { errorCode, errorMessage, HomeportError } from '../../../core/errors.ts'
import { identifier, renderSql } from '../../../core/sql.ts'
import { explainWaitingSlot } from '../../waiting-slot.ts'
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
    const made = await createSlot(session, options)
    const lost = new AbortController()
    session.on('end', () => lost.abort(new HomeportError('SNAPSHOT_LOST', 'the primary closed the snapshot')))
    return {
      name: made.snapshot_name,
      lsn: made.consistent_point,
      lost: lost.signal,
      close: () => session.end().catch(() => undefined),
    }
  } catch (error) {
    await session.end().catch(() => undefined)
    throw error
  }
}

interface CreatedSlot {
  consistent_point: string
  snapshot_name: string
}

async function createSlot(session: pg.Client, options: ExportSnapshotOptions): Promise<CreatedSlot> {
  const { slot, timeoutMs = 30_000 } = options
  const pid = await readPid(session)
  const template = slot === null ? 'relay/create-temporary-slot' : 'relay/create-replication-slot'
  // Not one of ours by its name: nothing that looks for the slots of clouds shall meet it.
  const name = slot ?? `hpseed_${randomBytes(6).toString('hex')}`
  // statement_timeout does not count for replication commands; the same role may cancel its own session.
  const timer = setTimeout(() => void cancel(options.replicationUrl, pid, session), timeoutMs)
  try {
    const { rows } = await session.query<CreatedSlot>(renderSql(template, { slot: identifier(name) }))
    const made = rows[0]
    if (made === undefined) throw new HomeportError('SLOT_FAILED', 'the primary made no slot')
    return made
  } catch (error) {
    throw await explainSlotError(error, name, options)
  } finally {
    clearTimeout(timer)
  }
}

async function readPid(session: pg.Client): Promise<number> {
  const { rows } = await session.query<{ pid: number }>('select pg_backend_pid() as "pid"')
  return rows[0]?.pid ?? 0
}

async function cancel(replicationUrl: string, pid: number, session: pg.Client): Promise<void> {
  try {
    const other = await connect({ connectionString: replicationUrl, applicationName: 'homeport ops' })
    await other.query('select pg_cancel_backend($1)', [pid])
    await other.end()
  } catch {
    // Then the session is given up instead; its server notices when it next writes.
    await session.end().catch(() => undefined)
  }
}

async function explainSlotError(
  error: unknown,
  slot: string,
  options: ExportSnapshotOptions,
): Promise<unknown> {
  const code = errorCode(error)
  if (code === '57014') return explainWaitingSlot(options.primary, error)
  if (code === '42710') {
    return new HomeportError('SLOT_EXISTS', `the slot ${slot} is there already`, {
      hint: 'run the same command again',
      cause: error,
    })
  }
  if (code === '53400' || /all replication slots are in use/.test(errorMessage(error))) {
    return new HomeportError('TOO_FEW_SLOTS', 'the primary has no replication slot free', {
      hint: 'alter system set max_replication_slots = 20 there, then restart it',
      exitCode: 2,
      cause: error,
    })
  }
  return error
}
