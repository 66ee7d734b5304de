import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { until } from '../../support/api.ts'
import { privateCluster } from '../../support/clusters.ts'
import { gatewaySettings, startGateway } from '../../support/gateway-process.ts'
import { compareRows, passFence } from '../../support/oracles/equality.ts'
import type { OpsProcess } from '../../support/ops-process.ts'
import { createRelayPair, startRelay, type RelayPair } from '../../support/relay-pair.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'
import { insertTalk, plant } from '../support.ts'

let nextId = 1

/** Writes a few talks at home and waits until the cloud is equal. */
async function writeAndCompare(t: Test, pair: RelayPair, what: string): Promise<void> {
  for (const end = nextId + 5; nextId < end; nextId += 1) await insertTalk(pair.primary, { id: nextId })
  await passFence(pair.primary, pair.cloud)
  t.strictSame(await compareRows(pair.primary, pair.cloud), [], what)
}

async function endsInOrder(t: Test, pair: RelayPair, relay: OpsProcess): Promise<void> {
  t.match(await relay.terminate(), { code: 0 }, relay.stderr.slice(-2_000))
  const slot = await pair.primary.query<{ lsn: string }>(
    'select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = $1',
    [pair.slot],
  )
  const progress = await pair.cloud.query<{ lsn: string }>('select end_lsn::text as lsn from relay_progress')
  t.strictSame(slot.rows, progress.rows, 'the slot is exactly where the cloud is')
}

function status(pair: RelayPair): { state: string; spool: { batches: number }; transport: string } {
  return JSON.parse(readFileSync(join(pair.stateFolder, 'status.json'), 'utf8')) as ReturnType<typeof status>
}

t.test('one relay, and what may happen to it', async (t) => {
  const pair = await createRelayPair(t)
  const gateway = await startGateway(t, pair)
  const proxy = await startTcpProxy(t, pair.cloudUrl)
  const settings = {
    ...(await gatewaySettings(pair, gateway.url)),
    RELAY_DATABASE_URL: proxy.through(pair.settings['RELAY_DATABASE_URL'] ?? ''),
  }

  await t.test(
    'what is written comes to the cloud; SIGTERM ends it in order; the next one goes on',
    async (t) => {
      for (const what of ['first', 'second']) {
        const relay = startRelay(t, pair)
        await writeAndCompare(t, pair, what)
        await endsInOrder(t, pair, relay)
      }
    },
  )

  await t.test('the gateway takes over while direct fails, and direct again when it works', async (t) => {
    const relay = startRelay(t, pair, {
      settings,
      args: ['--fall-back-seconds', '1', '--probe-seconds', '1'],
    })
    await writeAndCompare(t, pair, 'direct')
    proxy.set({ isDown: true })
    proxy.resetAll()
    await writeAndCompare(t, pair, 'through the gateway')
    t.match(relay.stderr, /batches go through the gateway now/)
    t.equal(
      (
        await until(
          async () => status(pair),
          ({ transport }) => transport === 'gateway',
        )
      ).state,
      'following',
    )
    proxy.set()
    await relay.said(/direct works again/)
    await writeAndCompare(t, pair, 'direct again')
    await until(
      async () => status(pair),
      ({ transport }) => transport === 'direct',
    )
    await endsInOrder(t, pair, relay)
  })

  await t.test('a cloud that is away at the start is waited for', async (t) => {
    proxy.set({ isDown: true })
    const relay = startRelay(t, pair, { settings: { ...settings, PRODUCTION_API_URL: '' } })
    await relay.said(/the cloud cannot be reached \(direct\)/)
    await until(
      async () => status(pair),
      ({ state }) => state === 'unreachable',
    )
    proxy.set()
    await writeAndCompare(t, pair, 'reached')
    proxy.set({ isDown: true })
    proxy.resetAll()
    await insertTalk(pair.primary, { id: 9_000 })
    await relay.said(/a batch did not get through/)
    const startedMs = performance.now()
    t.match(await relay.terminate(), { code: 0 }, 'nobody waits for it at the end')
    t.ok(performance.now() - startedMs < 10_000)
    proxy.set()
    const again = startRelay(t, pair)
    await writeAndCompare(t, pair, 'what was in hand comes again')
    await endsInOrder(t, pair, again)
  })

  await t.test('a primary that ends the connection is connected again', async (t) => {
    const relay = startRelay(t, pair)
    await writeAndCompare(t, pair, 'before')
    for (let round = 0; round < 3; round += 1) {
      await pair.primary.query(
        'select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1',
        [pair.slot],
      )
      await writeAndCompare(t, pair, 'after')
    }
    await endsInOrder(t, pair, relay)
  })

  await t.test('kill -9 and start: its own lease and its own dead connection are no hindrance', async (t) => {
    const relay = startRelay(t, pair)
    await writeAndCompare(t, pair, 'before')
    await relay.kill()
    const again = startRelay(t, pair)
    await writeAndCompare(t, pair, 'after')
    await endsInOrder(t, pair, again)
  })

  await t.test(
    'a poison row stops it, in the cloud and in the status file; --quarantine goes on',
    async (t) => {
      await pair.cloud.query('alter table lexicon add constraint poison check (documents <> 4711)')
      const relay = startRelay(t, pair, { args: ['--json'] })
      await pair.primary.query('insert into lexicon values (77001, 4711), (77002, 1)')
      t.equal(await relay.ends(), 1)
      t.match(relay.stderr, /"error":\{"code":"POISON_ROW".*lexicon.*77001/)
      t.match(status(pair), { state: 'stopped', lastError: { code: 'POISON_ROW' } })
      const { rows } = await pair.cloud.query('select state, stop_code from relay_progress')
      t.strictSame(rows, [{ state: 'stopped', stop_code: 'POISON_ROW' }])
      const going = startRelay(t, pair, { args: ['--quarantine', '--until-caught-up', '--json'] })
      t.equal(await going.ends(), 0, going.stderr)
      t.match(JSON.parse(going.stdout), { reason: 'caughtUp', quarantined: 1 })
      t.strictSame(await compareRows(pair.primary, pair.cloud), ['lexicon [77001] is missing in the cloud'])
      await pair.cloud.query('alter table lexicon drop constraint poison')
      await plant(pair.cloud, 'insert into lexicon values (77001, 4711)')
    },
  )

  await t.test('a cloud that goes back while the relay runs is noticed at the next connection', async (t) => {
    const relay = startRelay(t, pair, { settings: { ...settings, PRODUCTION_API_URL: '' }, args: ['--json'] })
    await pair.cloud.query('create table kept as select * from relay_progress')
    await writeAndCompare(t, pair, 'before')
    proxy.set({ isDown: true })
    proxy.resetAll()
    await pair.cloud.query(
      'update relay_progress p set end_lsn = k.end_lsn, commit_lsn = k.commit_lsn, sequence = k.sequence from kept k',
    )
    proxy.set()
    await insertTalk(pair.primary, { id: 9_001 })
    t.equal(await relay.ends(), 1)
    t.match(relay.stderr, /"error":\{"code":"CLOUD_REWOUND".*reseed/)
    const { rows } = await pair.cloud.query('select state, stop_code from relay_progress')
    t.strictSame(rows, [{ state: 'stopped', stop_code: 'CLOUD_REWOUND' }])
  })
})

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
