import type pg from 'pg'
import { errorCode, HomeportError } from '../../core/errors.ts'
import { identifier, loadSql, renderSql } from '../../core/sql.ts'
import type { FetchedRow } from '../relay/cloud-link.ts'
import { fetchRows } from '../relay/fetch-rows.ts'
import type { Key } from '../verify/row-hash.ts'
import type { Subject } from '../verify/subjects.ts'
import { byKeys, keyParameters } from '../verify/table-hash.ts'

export interface LockOptions {
  primary: pg.Pool
  subject: Subject
  action: 'put' | 'remove'
  keys: readonly Key[]
  /** how long others may hold what is wanted (default 5 s) */
  lockTimeoutMs?: number
}

/** Rows of the primary that nobody can write while this is open. */
export class LockedRows {
  /** of those asked for: to put, the rows that are there; to remove, the keys of which none is */
  readonly keys: readonly Key[]
  readonly #session: pg.PoolClient
  readonly #subject: Subject

  constructor(session: pg.PoolClient, subject: Subject, keys: readonly Key[]) {
    this.#session = session
    this.#subject = subject
    this.keys = keys
  }

  /** The rows as text; `values` is null for those that are not there. */
  read(): Promise<FetchedRow[]> {
    const { table } = this.#subject
    return fetchRows(this.#session, [{ table: table.name, keyColumns: table.key, keys: this.keys }], [table])
  }

  /** Answers only while the locks are held. @throws HomeportError LOCK_LOST. */
  async prove(): Promise<void> {
    try {
      await this.#session.query(loadSql('repair/still-here'))
    } catch (cause) {
      throw new HomeportError('LOCK_LOST', 'the primary ended the session that held the rows still', {
        hint: 'run ops repair again: nothing was written with rows that may have changed',
        cause,
      })
    }
  }

  /** Lets others write again. */
  close(): void {
    // The session goes with it, whatever state it is in.
    this.#session.release(true)
  }
}

/**
 * Holds rows still: those to put by locks on the rows, which hinder nobody else; those to remove, of which there are none,
 * by a lock on the table, behind which every writer of it waits until it is closed.
 *
 * @throws HomeportError ROWS_BUSY when others hold them for too long.
 */
export async function lockRows(options: LockOptions): Promise<LockedRows> {
  const { primary, subject, action, keys, lockTimeoutMs = 5000 } = options
  const { primarySql } = subject
  const session = await primary.connect()
  try {
    await session.query('begin')
    await session.query(loadSql('repair/begin-locking'), [`${lockTimeoutMs}ms`])
    if (action === 'remove') {
      await session.query(renderSql('repair/lock-table', { table: identifier(subject.table.name) }))
    }
    const { rows } = await session.query<{ key: Key }>(
      renderSql('repair/lock-rows', {
        table: primarySql.table,
        keyText: primarySql.keyText,
        ...byKeys(primarySql),
      }),
      keyParameters(primarySql, keys),
    )
    const there = new Set(rows.map(({ key }) => JSON.stringify(key)))
    const isWanted = (key: Key): boolean => there.has(JSON.stringify(key)) === (action === 'put')
    return new LockedRows(session, subject, keys.filter(isWanted))
  } catch (error) {
    session.release(true)
    if (errorCode(error) !== '55P03') throw error
    throw new HomeportError(
      'ROWS_BUSY',
      `rows of ${subject.table.name} are being written by a transaction that does not end`,
      { hint: 'let it end, or run ops repair again when less is written', cause: error },
    )
  }
}
