import t from 'tap'
import { connect } from '../../core/db.ts'
import { describeHolder, findLockHolder, pickHolder, type LockHolder } from '../../core/lock-holder.ts'
import { loadSql } from '../../core/sql.ts'
import { createDatabase } from '../support/databases.ts'

t.test('a holder in words', async (t) => {
  const since = new Date('2026-01-02T03:04:05Z')
  const holder = { name: 'homeport monitor 1@studio', pid: 815, since }
  t.equal(
    describeHolder({ ...holder, address: '10.0.0.7' }),
    'homeport monitor 1@studio (backend 815, from 10.0.0.7, since 2026-01-02T03:04:05.000Z)',
  )
  t.match(describeHolder({ ...holder, address: null }), /, here, /)
})

t.test('each lock is known by the statement that takes it, and in its database alone', async (t) => {
  const [url, other] = [await createDatabase(t, 'primary'), await createDatabase(t, 'primary')]
  const open = async (connectionString: string) => {
    const session = await connect({ connectionString, applicationName: 'homeport test' })
    t.teardown(() => session.end())
    return session
  }
  const [asking, elsewhere] = [await open(url), await open(other)]
  const takes: readonly (readonly [LockHolder['lock'], string])[] = [
    ['ingest', 'ingest/try-lock'],
    ['monitor', 'monitor/try-lock'],
    ['setup', 'relay/try-setup-lock'],
    ['migrate', 'checks/try-migration-lock'],
  ]
  for (const [lock, statement] of takes) {
    t.equal(await findLockHolder(asking, lock), null)
    const holding = await open(url)
    await holding.query('begin')
    await holding.query(loadSql(statement))
    const { rows } = await holding.query<{ pid: number }>('select pg_backend_pid() as "pid"')
    t.match(await findLockHolder(asking, lock), {
      lock,
      name: 'homeport test',
      pid: rows[0]?.pid,
      own: false,
    })
    t.equal((await findLockHolder(holding, lock))?.own, true)
    t.equal(await findLockHolder(elsewhere, lock), null)
  }
  const all = (await asking.query<LockHolder>(loadSql('checks/lock-holders'))).rows
  t.strictSame(all.map(({ lock }) => lock).sort(), ['ingest', 'migrate', 'monitor', 'setup'])
  t.equal(pickHolder(all, 'setup')?.lock, 'setup')
})
