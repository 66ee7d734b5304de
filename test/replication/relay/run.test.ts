import t from 'tap'
import { until } from '../../support/api.ts'
import { gatewaySettings, startGateway } from '../../support/gateway-process.ts'
import { compareRows } from '../../support/oracles/equality.ts'
import { createRelayPair, startRelay } from '../../support/relay-pair.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'
import { insertTalk, plant } from '../support.ts'
import { endsInOrder, status, writeAndCompare } from './run-fixture.ts'

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
    await until(
      async () => status(pair),
      ({ transport, state }) => transport === 'gateway' && state === 'following',
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
