import t from 'tap'
import { connect } from '../../core/db.ts'
import { createDatabase } from './databases.ts'
import { startTransactionPooler } from './transaction-pooler.ts'

t.test('transactions are whole, and sessions are not kept between them', async (t) => {
  const url = await createDatabase(t, 'cloud', { migrate: false })
  const pooler = await startTransactionPooler(t, url, 2)
  const client = await connect({ connectionString: pooler.through(url), applicationName: 'test' })
  const pid = async (): Promise<number | undefined> =>
    (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid
  const [first, second, third] = [await pid(), await pid(), await pid()]
  t.not(first, second)
  t.equal(third, first)
  await client.query('begin')
  t.equal(await pid(), await pid())
  await client.query('create table one (n int)')
  await client.query('insert into one select $1::int from generate_series(1, 20000)', [7])
  await client.query('commit')
  const { rows } = await client.query<{ count: string }>('select count(*) from one where n = $1', [7])
  t.equal(rows[0]?.count, '20000')
  await client.query('begin')
  await client.end()
  t.equal(pooler.transactions, 6)
})

t.test('it knows no replication', async (t) => {
  const url = await createDatabase(t, 'primary', { migrate: false })
  const pooler = await startTransactionPooler(t, url, 1)
  const replication = new URL(pooler.through(url))
  replication.searchParams.set('replication', 'database')
  await t.rejects(connect({ connectionString: replication.href, applicationName: 'test' }), {
    cause: { code: '08P01' },
  })
})
