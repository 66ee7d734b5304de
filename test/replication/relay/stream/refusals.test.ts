import t from 'tap'
import type { Published } from './support.ts'
import { privateCluster, testClusters } from '../../../support/clusters.ts'
import { createDatabase, queryRows, uniqueName } from '../../../support/databases.ts'
import { startTcpProxy } from '../../../support/tcp-proxy.ts'
import { startTransactionPooler } from '../../../support/transaction-pooler.ts'
import { anything, publishNotes, publishTables, slotReader, takeRows, until } from './support.ts'

t.test('a slot that is missing or not ours is named', async (t) => {
  const primary = await publishNotes(t)
  await t.rejects(primary.open({ slot: 'never_made' }), { code: 'SLOT_MISSING', message: /never_made/ })
  const foreign = uniqueName('foreign')
  await primary.db.query(`select pg_create_logical_replication_slot($1, 'test_decoding')`, [foreign])
  await t.rejects(primary.open({ slot: foreign }), { code: 'SLOT_FOREIGN', message: /test_decoding/ })
  const elsewhere = await createDatabase(t, 'primary', { migrate: false })
  await t.rejects(primary.open({ connectionString: elsewhere }), { code: 'SLOT_FOREIGN' })
})

t.test('a position before the slot or past the log is refused', async (t) => {
  const primary = await publishNotes(t)
  await t.rejects(primary.open({ startLsn: '0/1' }), { code: 'SLOT_RECREATED' })
  await t.rejects(primary.open({ startLsn: 'FF/1' }), { code: 'PRIMARY_REWOUND' })
})

t.test('whoever holds the slot is named, after a while', async (t) => {
  const primary = await publishNotes(t)
  const first = await primary.open()
  const pid = await slotReader(primary.url, primary.slot)
  await t.rejects(primary.open({ slotHeldTimeoutMs: 0 }), {
    code: 'SLOT_HELD',
    message: new RegExp(
      `is being read by "homeport relay" as postgres from 127\\.0\\.0\\.1 \\(process ${pid} of the primary\\) since 20\\d\\d-`,
    ),
  })
  const second = primary.open({ slotHeldTimeoutMs: 60_000 })
  await first.close()
  await primary.db.query('insert into notes values (1)')
  t.same(await takeRows(await second, 1), [1], 'one that goes away meanwhile is waited for')
})

t.test('an abort ends the waiting for a slot', async (t) => {
  const primary = await publishNotes(t)
  await primary.open()
  const stop = new AbortController()
  const second = primary.open({ slotHeldTimeoutMs: 60_000, signal: stop.signal })
  setTimeout(() => stop.abort(new Error('stopped')), 300)
  await t.rejects(second, { message: 'stopped' })
})

t.test('a publication that is missing is named when the first change comes', async (t) => {
  const primary = await publishNotes(t)
  const stream = await primary.open({ publication: 'other' })
  await primary.db.query('insert into notes values (1)')
  await t.rejects(stream.nextBatch(anything), { code: 'PUBLICATION_MISSING', message: /other/ })
})

t.test('a pooler that refuses replication is named', async (t) => {
  const primary = await publishNotes(t)
  const pooler = await startTransactionPooler(t, primary.url)
  await t.rejects(primary.open({ connectionString: pooler.through(primary.url) }), {
    code: 'POOLED_CONNECTION',
    exitCode: 2,
  })
})

t.test('an unreachable primary is said to be so, without the password', async (t) => {
  const primary = await publishNotes(t)
  const proxy = await startTcpProxy(t, primary.url)
  proxy.set({ isDown: true })
  await t.rejects(primary.open({ connectionString: proxy.through(primary.url) }), {
    code: 'PRIMARY_UNREACHABLE',
  })
  const wrong = new URL(primary.url)
  wrong.password = 'hunter2'
  await t.rejects(primary.open({ connectionString: wrong.href }), {
    code: 'PRIMARY_UNREACHABLE',
    message: /password is wrong/,
    cause: { code: '28P01' },
  })
  wrong.port = '1'
  const error = await primary.open({ connectionString: wrong.href }).catch((thrown: unknown) => thrown)
  t.match(error, { code: 'PRIMARY_UNREACHABLE' })
  t.notMatch(String(error), /hunter2/)
})

t.test('a role that may not replicate is told apart', async (t) => {
  const primary = await publishNotes(t)
  const role = uniqueName('plain')
  const { primary: cluster } = await testClusters()
  await primary.db.query(`create role ${role} login password 'p'`)
  t.teardown(() => queryRows(cluster.superuserUrl(), `drop role ${role}`))
  const url = new URL(primary.url)
  url.username = role
  url.password = 'p'
  await t.rejects(primary.open({ connectionString: url.href }), { code: 'REPLICATION_DENIED' })
})

t.test('a slot whose log is gone is lost', async (t) => {
  const cluster = await privateCluster(t)
  const url = cluster.superuserUrl()
  const primary = await publishTables(t, url)
  await primary.db.query(`alter system set max_slot_wal_keep_size = '16MB'`)
  await primary.db.query('select pg_reload_conf()')
  await primary.db.query('insert into notes values (1)')
  await until(async () => {
    await primary.db.query('select pg_switch_wal()')
    await primary.db
      .query('create table if not exists noise (); insert into notes default values')
      .catch(() => undefined)
    await primary.db.query('checkpoint')
    return (await walStatus(primary)) === 'lost'
  })
  await t.rejects(primary.open(), { code: 'SLOT_LOST', message: /max_slot_wal_keep_size/ })
})

async function walStatus(primary: Published): Promise<string | undefined> {
  const { rows } = await primary.db.query<{ status: string }>(
    'select wal_status as status from pg_replication_slots where slot_name = $1',
    [primary.slot],
  )
  return rows[0]?.status
}
