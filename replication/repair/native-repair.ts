import type pg from 'pg'
import { failpoint } from '../../core/failpoint.ts'
import { HomeportError } from '../../core/errors.ts'
import { loadSql } from '../../core/sql.ts'
import type { FetchedRow } from '../relay/cloud-link.ts'
import { databaseFault } from '../relay/apply/errors.ts'
import { textArray } from '../relay/apply/key-text.ts'
import type { Subject } from '../verify/subjects.ts'
import type { LockedRows } from './locked-rows.ts'
import { repairStatements, type RepairOrigin } from './row-statements.ts'

export interface NativeRepairOptions {
  cloud: pg.Pool
  subject: Subject
  action: 'put' | 'remove'
  locked: LockedRows
  origin: RepairOrigin
}

/**
 * Writes rows into a cloud that follows by subscription, which must have passed the moment at which they were locked: so
 * what it has is what the primary had then or wrong, and nothing newer can come before the locks are let go. That they
 * are still held is asked once more when all is written and before it is committed: the rows' locks in the cloud keep
 * the subscription from overtaking in between.
 *
 * @throws HomeportError LOCK_LOST, CLOUD_FORBIDS; errors of the server that pass, and of the connection.
 */
export async function writeNatively(options: NativeRepairOptions): Promise<void> {
  const { cloud, locked } = options
  const rows = await locked.read()
  const session = await cloud.connect()
  try {
    await session.query(loadSql('relay/begin'))
    await session.query(loadSql('relay/settings'), ['10s', '60s', 'homeport repair'])
    for (const row of rows) await writeRow(session, options, row)
    await failpoint('repair.before-commit')
    await locked.prove()
    await session.query('commit')
    session.release()
  } catch (error) {
    session.release(true)
    throw error
  }
}

async function writeRow(
  session: pg.PoolClient,
  options: NativeRepairOptions,
  row: FetchedRow,
): Promise<void> {
  const { subject, action, origin } = options
  await session.query('savepoint homeport')
  try {
    for (const { text, values } of repairStatements(subject.table, action, row, origin)) {
      await session.query(text, [...values])
    }
  } catch (error) {
    const fault = databaseFault(error)
    if (fault === undefined) throw error
    if (fault.code === '42501') throw forbids(subject.table.name, error)
    // Locks and timeouts pass; whatever the row itself breaks is written down.
    if (!/^(?:2|42|44|P0)/.test(fault.code)) throw error
    await session.query('rollback to savepoint homeport')
    await session.query(loadSql('repair/journal-refused'), [
      origin.run,
      subject.table.name,
      textArray(row.key),
      origin.lsn,
      fault.code,
    ])
  }
  await session.query('release savepoint homeport')
}

function forbids(table: string, cause: unknown): HomeportError {
  return new HomeportError('CLOUD_FORBIDS', `the role of PRODUCTION_DATABASE_URL may not write ${table}`, {
    hint: 'use the owner of the tables there',
    exitCode: 2,
    cause,
  })
}
