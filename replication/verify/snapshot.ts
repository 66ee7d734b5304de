import type pg from 'pg'
import { HomeportError } from '../../core/errors.ts'
import { literal, loadSql, renderSql } from '../../core/sql.ts'

/** A session that sees one moment of its server. */
export interface Snapshot {
  client: pg.PoolClient
  /** every commit it sees lies before this position of its server's log */
  lsn: string
  close(): Promise<void>
}

/** The moment of this call, or the one that another session has exported under this name. */
export async function openSnapshot(pool: pg.Pool, exported?: string): Promise<Snapshot> {
  const client = await pool.connect()
  const imported =
    exported === undefined ? '' : `${renderSql('relay/import-snapshot', { snapshot: literal(exported) })};`
  try {
    // In one message, because a limit on idle transactions counts from the first. Limits meant for an
    // application would end a long comparison; compiling the long hash expressions costs more than it saves.
    await client.query(
      `begin isolation level repeatable read read only; ${imported}
       set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0; set local lock_timeout = 0;
       set local jit = off; set local client_encoding = 'UTF8'; set local timezone = 'UTC'; set local datestyle = 'ISO';
       set local extra_float_digits = 1; set local bytea_output = 'hex'`,
    )
    await client.query(loadSql('checks/no-transaction-timeout'))
    const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as "lsn"')
    const lsn = rows[0]?.lsn
    if (lsn === undefined) throw new HomeportError('SNAPSHOT', 'the server gave no log position')
    return {
      client,
      lsn,
      close: async () => {
        // The session goes with it: a hash that was cut off must not be waited for.
        client.release(true)
      },
    }
  } catch (error) {
    client.release(true)
    throw error
  }
}
