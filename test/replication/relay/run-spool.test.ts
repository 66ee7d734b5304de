import t from 'tap'
import { until } from '../../support/api.ts'
import { privateCluster } from '../../support/clusters.ts'
import { createRelayPair, startRelay, type RelayPair } from '../../support/relay-pair.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'
import { endsInOrder, status, writeAndCompare } from './run-fixture.ts'

t.test('while the cloud is away and the log runs out, changes go into the spool', async (t) => {
  const primaryCluster = await privateCluster(t)
  const pair = await createRelayPair(t, { primaryCluster })
  await pair.primary.query(`alter system set max_slot_wal_keep_size = '64MB'`)
  await pair.primary.query('select pg_reload_conf()')
  const proxy = await startTcpProxy(t, pair.cloudUrl)
  const settings = {
    RELAY_DATABASE_URL: proxy.through(pair.settings['RELAY_DATABASE_URL'] ?? ''),
    RELAY_WAL_SHARE: '5',
  }
  const fill = (): Promise<unknown> =>
    pair.primary.query('insert into tombstones (segment_id) select n from generate_series(1, 40000) as n')
  const relay = startRelay(t, pair, { settings })
  await writeAndCompare(t, pair, 'before')

  await t.test('it begins while it runs', async (t) => {
    proxy.set({ isDown: true })
    proxy.resetAll()
    await fill()
    await relay.said(/changes go into the spool now/)
    const seen = await until(
      async () => status(pair),
      ({ state }) => state === 'spooling',
    )
    t.ok(seen.spool.batches > 0)
    const acknowledged = await pair.primary.query(
      'select from pg_replication_slots where slot_name = $1 and confirmed_flush_lsn > $2',
      [pair.slot, await cloudLsn(pair)],
    )
    t.equal(acknowledged.rowCount, 1, 'and the primary may drop the log')
    await relay.kill()
  })

  await t.test('and goes on in a process that never saw the cloud', async (t) => {
    await fill()
    const blind = startRelay(t, pair, { settings })
    await blind.said(/reading begins without it/)
    const before = status(pair).spool.batches
    await fill()
    await until(
      async () => status(pair),
      ({ spool }) => spool.batches > before,
    )
    t.match(await blind.terminate(), { code: 0 })
  })

  await t.test('then it comes to the cloud in order, before anything goes straight again', async (t) => {
    proxy.set()
    const last = startRelay(t, pair, { settings })
    await writeAndCompare(t, pair, 'after')
    await until(
      async () => status(pair),
      ({ state, spool }) => state === 'following' && spool.batches === 0,
    )
    await endsInOrder(t, pair, last)
  })
})

async function cloudLsn(pair: RelayPair): Promise<string> {
  const { rows } = await pair.cloud.query<{ lsn: string }>('select end_lsn::text as lsn from relay_progress')
  return rows[0]?.lsn ?? ''
}
