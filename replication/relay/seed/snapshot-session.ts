import type pg from 'pg'
import { literal, loadSql, renderSql } from '../../../core/sql.ts'
import { errorCode, HomeportError } from '../../../core/errors.ts'

/**
 * A session of the primary that sees an exported snapshot, and nothing later. To end it, release it with
 * `true`: a COPY that was cut off must not be waited for.
 *
 * @throws HomeportError SNAPSHOT_LOST when the session that exported it is gone.
 */
export async function openSnapshotSession(primary: pg.Pool, snapshot: string): Promise<pg.PoolClient> {
  const session = await primary.connect()
  try {
    // In one message, because a limit on idle transactions counts from the first.
    await session.query(
      `begin isolation level repeatable read read only;
       ${renderSql('relay/import-snapshot', { snapshot: literal(snapshot) })};
       set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0; set local lock_timeout = 0;
       set local jit = off`,
    )
    await session.query(loadSql('checks/no-transaction-timeout'))
    return session
  } catch (error) {
    session.release(true)
    if (errorCode(error) !== '22023') throw error
    throw new HomeportError('SNAPSHOT_LOST', 'the snapshot on the primary is gone', { cause: error })
  }
}
