import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { until } from '../support/api.ts'
import { gatewaySettings, startGateway } from '../support/gateway-process.ts'
import { passFence } from '../support/oracles/equality.ts'
import { watchPair } from '../support/oracles/watch.ts'
import { pick, randomNumbers } from '../support/random.ts'
import { createRelayPair, startRelay } from '../support/relay-pair.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { seeds } from './support.ts'

// Rows 15, 19, 22 and 59 by the second transport: the cloud is behind HTTP.
t.test('through the gateway', async (t) => {
  const pair = await createRelayPair(t)
  const watch = await watchPair(t, pair)
  const gateway = await startGateway(t, pair)
  const proxy = await startTcpProxy(t, gateway.url)
  const settings = await gatewaySettings(pair, `http://127.0.0.1:${proxy.port}`)

  await t.test('an answer that is lost, a request that is cut, slices', async (t) => {
    const relay = startRelay(t, pair, { settings })
    await passFence(pair.primary, pair.cloud)
    const lost = proxy.resetWhenAnswered(/HTTP\/1.1 200/, { skip: 1 })
    await Promise.all([lost, watch.write({ seed: 1, operations: 15 })])
    await watch.judge(t, 'the answer was lost')
    proxy.set({ limitBytes: 3_000 })
    const writing = watch.write({ seed: 2, operations: 15 })
    await sleep(1_000)
    proxy.set()
    await writing
    await watch.judge(t, 'requests were cut')
    proxy.set({ sliceBytes: 97 })
    await watch.write({ seed: 3, operations: 5 })
    await watch.judge(t, 'slices')
    proxy.set()
    t.match(await relay.terminate(), { code: 0 })
  })

  const places = [
    'gateway.before-commit',
    'gateway.after-commit',
    'relay.before-deliver',
    'relay.after-commit',
    'relay.after-ack',
    'relay.mid-batch',
  ]
  let alive = gateway
  for (const seed of seeds({ quick: 3, full: 40 })) {
    await t.test(`npm run test:faults -- --seed ${seed} test/faults/gateway.test.ts`, async (t) => {
      const random = randomNumbers(seed)
      const place = places[seed % places.length] ?? ''
      const failpoint = `${place}:${1 + pick(random, 3)}:kill`
      const isGateway = place.startsWith('gateway') || place === 'relay.mid-batch'
      await alive.process.kill()
      const doomed = await startGateway(t, pair, isGateway ? { failpoint } : {})
      proxy.retarget(doomed.url)
      const relay = startRelay(t, pair, { settings, ...(isGateway ? {} : { failpoint }) })
      const writing = watch.write({ seed, operations: 30 })
      await Promise.race([isGateway ? doomed.process.exited : relay.exited, sleep(5_000)])
      await doomed.process.kill()
      await writing
      alive = await startGateway(t, pair)
      proxy.retarget(alive.url)
      // Its own hour may not have come yet.
      if (!isGateway) await relay.kill()
      const last = isGateway ? relay : startRelay(t, pair, { settings })
      await watch.judge(t, failpoint)
      t.match(await last.terminate(), { code: 0 })
    })
  }
})

t.test('straight first; through the gateway while that fails; straight again', async (t) => {
  const pair = await createRelayPair(t)
  const watch = await watchPair(t, pair)
  const gateway = await startGateway(t, pair)
  const direct = await startTcpProxy(t, pair.cloudUrl)
  const settings = {
    ...(await gatewaySettings(pair, gateway.url)),
    RELAY_DATABASE_URL: direct.through(pair.settings['RELAY_DATABASE_URL'] ?? ''),
  }
  const args = ['--fall-back-seconds', '2', '--probe-seconds', '1']
  const relay = startRelay(t, pair, { settings, args })
  await passFence(pair.primary, pair.cloud)
  const toServer = direct.toServer
  t.ok(toServer > 0, 'straight')
  direct.set({ isDown: true })
  direct.resetAll()
  await watch.write({ seed: 1, operations: 20 })
  await watch.judge(t, 'through the gateway', 120_000)
  t.match(relay.stderr, /gateway/)
  t.equal(direct.toServer, toServer)
  direct.set()
  await until(
    async () => direct.toServer,
    (now) => now > toServer,
    120_000,
  )
  await watch.write({ seed: 2, operations: 20 })
  await watch.judge(t, 'straight again')
  t.match(await relay.terminate(), { code: 0 })
})
