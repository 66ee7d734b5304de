import t from 'tap'
import type pg from 'pg'
import { readDatabaseIdentity } from '../../../core/database-identity.ts'
import { createPool } from '../../../core/db.ts'
import { loadSql } from '../../../core/sql.ts'
import { recordVerdicts } from '../../../replication/verify/record.ts'
import { createDatabase } from '../../support/databases.ts'

let primary: pg.Pool
let cloud: pg.Pool
let other: pg.Pool

t.before(async () => {
  const open = async (side: 'primary' | 'cloud'): Promise<pg.Pool> => {
    const pool = createPool({
      connectionString: await createDatabase(t, side),
      applicationName: 'homeport test',
    })
    t.teardown(() => pool.end())
    return pool
  }
  primary = await open('primary')
  cloud = await open('cloud')
  other = await open('cloud')
})

const match = { table: 'lexicon', verdict: 'match', primaryRows: 8, lsn: '0/1' } as const

/** Verdict of the lexicon, and whether it was ever compared in full, as the one who asks about this cloud sees it. */
async function seen(about: pg.Pool | null): Promise<unknown> {
  const identity = about === null ? null : await readDatabaseIdentity(about)
  const of = async (name: 'checks/verifications' | 'monitor/proofs'): Promise<unknown> => {
    const { rows } = await primary.query<{ table: string; verdict: string; fullAt: Date | null }>(
      loadSql(name),
      [identity],
    )
    const row = rows.find((one) => one.table === 'lexicon')
    return row === undefined ? null : [row.verdict, row.fullAt !== null]
  }
  const [status, monitor] = [await of('checks/verifications'), await of('monitor/proofs')]
  t.strictSame(status, monitor, 'both say the same')
  return status
}

t.test('databases have names of their own, and keep them', async (t) => {
  const names = await Promise.all([primary, cloud, other].map(readDatabaseIdentity))
  t.equal(new Set(names).size, 3)
  t.match(names, [/^\d+\/\d+$/, /^\d+\/\d+$/, /^\d+\/\d+$/])
  t.strictSame(await Promise.all([primary, cloud, other].map(readDatabaseIdentity)), names)
})

t.test('a verdict about one cloud is not one about another that follows too', async (t) => {
  await recordVerdicts({ primary, cloud }, [match])
  t.strictSame(await seen(cloud), ['match', true])
  t.strictSame(await seen(null), ['match', true], 'where the cloud cannot be asked')
  t.equal(await seen(other), null)
  await recordVerdicts({ primary, cloud: other }, [{ ...match, isFull: false }])
  t.equal(await seen(cloud), null)
  t.strictSame(await seen(other), ['match', false], 'what was compared in full was the other one')
  await recordVerdicts({ primary, cloud: other }, [match])
  await recordVerdicts({ primary, cloud: other }, [{ ...match, verdict: 'drift', isFull: false }])
  t.strictSame(await seen(other), ['drift', true])
})

t.test('a verdict from before there were names holds for the one cloud', async (t) => {
  await recordVerdicts({ primary, cloud }, [match])
  await primary.query('update verifications set cloud = null')
  t.strictSame(
    [await seen(cloud), await seen(other)],
    [
      ['match', true],
      ['match', true],
    ],
  )
  await recordVerdicts({ primary, cloud }, [{ ...match, isFull: false }])
  t.strictSame(
    [await seen(cloud), await seen(other)],
    [['match', false], null],
    'in full, it may have been another',
  )
})
