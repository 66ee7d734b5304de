import type pg from 'pg'
import { orAborted } from '../../../core/backoff.ts'
import { literal, loadSql, renderSql } from '../../../core/sql.ts'
import { errorCode, HomeportError } from '../../../core/errors.ts'

/**
 * A session of the primary that sees an exported snapshot, and nothing later. To end it, release it with
 * `true`: a COPY that was cut off must not be waited for.
 *
 * @throws HomeportError SNAPSHOT_LOST when the session that exported it is gone.
 */
export async function openSnapshotSession(
  primary: pg.Pool,
  snapshot: string,
  signal?: AbortSignal,
): Promise<pg.PoolClient> {
  const session = await primary.connect()
  try {
    const opened = open(session, snapshot)
    await (signal === undefined ? opened : orAborted(opened, signal))
    return session
  } catch (error) {
    // Also one that does not answer: who waits for a pool to end waits for all its sessions.
    session.release(true)
    if (errorCode(error) !== '22023') throw error
    throw new HomeportError('SNAPSHOT_LOST', 'the snapshot on the primary is gone', { cause: error })
  }
}

async function open(session: pg.PoolClient, snapshot: string): Promise<void> {
  // In one message, because a limit on idle transactions counts from the first.
  await session.query(
    `begin isolation level repeatable read read only;
     ${renderSql('relay/import-snapshot', { snapshot: literal(snapshot) })};
     set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0; set local lock_timeout = 0;
     set local jit = off`,
  )
  await session.query(loadSql('checks/no-transaction-timeout'))
}
