import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { until } from '../support/api.ts'
import { privateCluster } from '../support/clusters.ts'
import { passFence } from '../support/oracles/equality.ts'
import { readSpoolEnd } from '../support/oracles/spool-end.ts'
import { watchPair, type Watch } from '../support/oracles/watch.ts'
import { pick, randomNumbers } from '../support/random.ts'
import { createRelayPair, startRelay, type RelayPair } from '../support/relay-pair.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { seeds } from './support.ts'

interface Spooling {
  pair: RelayPair
  watch: Watch
  proxy: TcpProxy
  settings: Record<string, string>
  folder: string
}

/** A primary whose log budget is small, so that the spool begins soon after the cloud is gone. */
async function openSpooling(t: Test): Promise<Spooling> {
  const primaryCluster = await privateCluster(t)
  const pair = await createRelayPair(t, { primaryCluster })
  await pair.primary.query(`alter system set max_slot_wal_keep_size = '64MB'`)
  await pair.primary.query('select pg_reload_conf()')
  const proxy = await startTcpProxy(t, pair.cloudUrl)
  const settings = {
    RELAY_DATABASE_URL: proxy.through(pair.settings['RELAY_DATABASE_URL'] ?? ''),
    RELAY_WAL_SHARE: '5',
  }
  const folder = join(pair.stateFolder, 'spool')
  const watch = await watchPair(t, pair, { spoolEnd: () => readSpoolEnd(folder) })
  return { pair, watch, proxy, settings, folder }
}

async function fill(pair: RelayPair): Promise<void> {
  for (let n = 0; n < 4; n += 1) {
    await pair.primary.query(
      'insert into tombstones (segment_id) select n from generate_series(1, 15000) as n',
    )
  }
}

t.test('while the cloud is away the log goes into the spool, and from there to the cloud', async (t) => {
  const { pair, watch, proxy, settings, folder } = await openSpooling(t)
  const places = [
    'spool.before-fsync',
    'spool.after-fsync',
    'spool.before-ack',
    'relay.after-commit',
    'relay.mid-batch',
  ]
  for (const seed of seeds({ quick: 3, full: 25 })) {
    await t.test(`npm run test:faults -- --seed ${seed} test/faults/spool.test.ts`, async (t) => {
      const random = randomNumbers(seed)
      const failpoint = `${places[seed % places.length]}:${1 + pick(random, 2)}:kill`
      const first = startRelay(t, pair, { settings })
      await passFence(pair.primary, pair.cloud)
      proxy.set({ isDown: true })
      proxy.resetAll()
      await Promise.all([fill(pair), watch.write({ seed, operations: 20 })])
      await until(
        () => readSpoolEnd(folder),
        (end) => end !== null,
        60_000,
      )
      await first.kill()
      await watch.write({ seed: seed + 1000, operations: 20 })
      const doomed = startRelay(t, pair, { settings, failpoint })
      await fill(pair)
      await Promise.race([doomed.exited, sleep(6_000)])
      proxy.set()
      await Promise.race([doomed.exited, sleep(6_000)])
      await doomed.kill()
      const last = startRelay(t, pair, { settings })
      await watch.judge(t, failpoint, 120_000)
      t.equal(await readSpoolEnd(folder), null, 'the spool is empty')
      t.match(await last.terminate(), { code: 0 })
    })
  }
})
