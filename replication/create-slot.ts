import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import { connect, type Queryable } from '../core/db.ts'
import { errorCode, errorMessage, HomeportError } from '../core/errors.ts'
import { identifier, loadSql, renderSql } from '../core/sql.ts'
import { explainWaitingSlot } from './waiting-slot.ts'

export interface CreateSlotOptions {
  replicationUrl: string
  /** as the owner, to say what a new slot waits for */
  primary: Queryable
  /** the slot that is made and stays; a temporary one when null, which goes with the session */
  slot: string | null
  /** begins the name of a temporary one; not what the slots of clouds are called, since nothing that looks for these shall meet it */
  temporaryPrefix: string
  /** how long the slot may wait for open transactions (default 30 s) */
  timeoutMs?: number
  signal?: AbortSignal
}

export interface CreatedSlot {
  name: string
  /** for SET TRANSACTION SNAPSHOT, until the session does anything else */
  snapshot: string
  /** the snapshot holds exactly what was committed before */
  lsn: string
}

/**
 * Makes a logical slot that exports its snapshot, over a replication session. A new slot waits for every transaction
 * that is open; that has a limit here.
 *
 * @throws HomeportError SLOT_WAITS (for which transactions), SLOT_EXISTS, TOO_FEW_SLOTS; the signal's reason.
 */
export async function createSlot(session: pg.Client, options: CreateSlotOptions): Promise<CreatedSlot> {
  const { slot, timeoutMs = 30_000, signal } = options
  const { rows: pids } = await session.query<{ pid: number }>(loadSql('relay/session-pid'))
  const name = slot ?? `${options.temporaryPrefix}_${randomBytes(6).toString('hex')}`
  const template = slot === null ? 'relay/create-temporary-slot' : 'relay/create-replication-slot'
  // statement_timeout does not count for replication commands; the same role may cancel its own session.
  const giveUp = (): void => void cancel(options.replicationUrl, pids[0]?.pid ?? 0, session)
  const timer = setTimeout(giveUp, timeoutMs)
  signal?.addEventListener('abort', giveUp, { once: true })
  try {
    signal?.throwIfAborted()
    const { rows } = await session.query<{ consistent_point: string; snapshot_name: string }>(
      renderSql(template, { slot: identifier(name) }),
    )
    const made = rows[0]
    if (made === undefined) throw new HomeportError('SLOT_FAILED', 'the primary made no slot')
    return { name, snapshot: made.snapshot_name, lsn: made.consistent_point }
  } catch (error) {
    signal?.throwIfAborted()
    throw await explainSlotError(error, name, options.primary)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', giveUp)
  }
}

async function cancel(replicationUrl: string, pid: number, session: pg.Client): Promise<void> {
  try {
    const other = await connect({ connectionString: replicationUrl, applicationName: 'homeport ops' })
    await other.query(loadSql('relay/cancel-session'), [pid])
    await other.end()
  } catch {
    // Then the session is given up instead; its server notices when it next writes.
    await session.end().catch(() => undefined)
  }
}

async function explainSlotError(error: unknown, slot: string, primary: Queryable): Promise<unknown> {
  const code = errorCode(error)
  if (code === '57014') return explainWaitingSlot(primary, error)
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
