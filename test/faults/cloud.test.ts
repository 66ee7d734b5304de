import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { until } from '../support/api.ts'
import type { Cluster } from '../../ops/local/cluster.ts'
import { unprivilegedUser } from '../../ops/local/unprivileged-user.ts'
import { copyCluster, restoreCluster } from '../support/cluster-copy.ts'
import { privateCluster } from '../support/clusters.ts'
import { passFence } from '../support/oracles/equality.ts'
import { watchPair, type Watch } from '../support/oracles/watch.ts'
import { createRelayPair, startRelay, type RelayPair } from '../support/relay-pair.ts'
import { stopsWith } from './support.ts'

interface OwnCloud {
  cluster: Cluster
  pair: RelayPair
  watch: Watch
}

async function openPair(t: Test): Promise<OwnCloud> {
  const cluster = await privateCluster(t, 'cloud')
  const pair = await createRelayPair(t, { cloudCluster: cluster })
  return { cluster, pair, watch: await watchPair(t, pair) }
}

// Rows 36 and 38.
t.test('a cloud that goes away, cannot be written, has no room', async (t) => {
  const { cluster, pair, watch } = await openPair(t)
  const relay = startRelay(t, pair)
  await passFence(pair.primary, pair.cloud)
  const role = new URL(pair.settings['RELAY_DATABASE_URL'] ?? '').username

  await t.test('an immediate restart under load', async (t) => {
    const writing = watch.write({ seed: 1, operations: 150 })
    await sleep(500)
    cluster.abandon()
    await until(
      async () => cluster.status(),
      (status) => status !== 'running',
    )
    await sleep(3_000)
    await cluster.start()
    await writing
    await watch.judge(t, 'restarted')
  })

  await t.test('read-only for a while', async (t) => {
    await pair.cloud.query('alter system set default_transaction_read_only = on')
    await pair.cloud.query('select pg_reload_conf()')
    await watch.write({ seed: 2, operations: 30 })
    await sleep(5_000)
    t.notOk(relay.hasEnded, relay.stderr.slice(-1_000))
    const session = await pair.cloud.connect()
    await session.query('set default_transaction_read_only = off')
    await session.query('alter system reset default_transaction_read_only')
    await session.query('select pg_reload_conf()')
    session.release()
    await watch.judge(t, 'writable')
  })

  await t.test('no free connection', async (t) => {
    await pair.cloud.query(`alter role ${role} connection limit 0`)
    await endSessions(pair, role)
    await watch.write({ seed: 3, operations: 30 })
    await sleep(4_000)
    t.notOk(relay.hasEnded)
    await pair.cloud.query(`alter role ${role} connection limit -1`)
    await watch.judge(t, 'let in')
  })

  await t.test('sessions that are ended, again and again', async (t) => {
    const writing = watch.write({ seed: 4, operations: 200 })
    for (let n = 0; n < 10; n += 1) {
      await sleep(200)
      await endSessions(pair, role)
    }
    await writing
    await watch.judge(t, 'let alone')
  })

  await t.test('a full disk', async (t) => {
    const folder = join(cluster.folder, 'small')
    mkdirSync(folder)
    const user = unprivilegedUser()
    try {
      const owner = user === undefined ? '' : `,uid=${user.uid},gid=${user.gid}`
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=3m,mode=700${owner}`, 'tmpfs', folder], {
        stdio: 'pipe',
      })
    } catch {
      t.comment('no right to mount a small disk here')
      return
    }
    t.teardown(async () => {
      await cluster.stop()
      execFileSync('umount', [folder])
    })
    await pair.cloud.query(`create tablespace small location '${folder}'`)
    await pair.cloud.query('alter table tombstones set tablespace small')
    await pair.primary.query(
      'insert into tombstones (segment_id) select n from generate_series(1, 60000) as n',
    )
    await sleep(4_000)
    t.notOk(relay.hasEnded, relay.stderr.slice(-1_000))
    execFileSync('mount', ['-o', 'remount,size=100m', folder])
    await watch.judge(t, 'given room', 120_000)
  })
  t.match(await relay.terminate(), { code: 0 })
})

// Row 41.
t.test('locks and deadlocks in the cloud: the whole transaction is tried again', async (t) => {
  const pair = await createRelayPair(t)
  const watch = await watchPair(t, pair)
  const relay = startRelay(t, pair)
  await passFence(pair.primary, pair.cloud)

  await t.test('a table that somebody holds', async (t) => {
    const session = await pair.cloud.connect()
    await session.query('begin')
    await session.query('lock table lexicon in access exclusive mode')
    await watch.write({ seed: 1, operations: 30 })
    await sleep(15_000)
    await session.query('rollback')
    session.release()
    await watch.judge(t, 'released')
  })

  await t.test('a deadlock', async (t) => {
    const session = await pair.cloud.connect()
    // The other side notices first.
    await session.query(`set deadlock_timeout = '20s'`)
    for (let round = 0; round < 3; round += 1) {
      await session.query('begin')
      await session.query('select from lexicon where term = 1 for update')
      await pair.primary.query(`begin; update lexicon set documents = documents + 1 where term = 0;
        update lexicon set documents = documents - 1 where term = 1; commit`)
      await until(
        async () => (await pair.cloud.query('select from pg_locks where not granted')).rowCount ?? 0,
        (waiting) => waiting > 0,
      )
      await session.query('select from lexicon where term = 0 for update').catch(() => undefined)
      await session.query('rollback')
    }
    session.release()
    await watch.judge(t, 'untangled')
  })
  t.match(await relay.terminate(), { code: 0 })
})

// Row 37.
t.test('a cloud that was restored to yesterday', async (t) => {
  const { cluster, pair, watch } = await openPair(t)
  let relay = startRelay(t, pair)
  await watch.write({ seed: 1, operations: 20 })
  await watch.judge(t, 'yesterday')
  await relay.terminate()
  await copyCluster(cluster)
  relay = startRelay(t, pair)
  await watch.write({ seed: 2, operations: 20 })
  await watch.judge(t, 'today')
  await watch.sampler.stop()

  await t.test('under a relay that runs', async (t) => {
    await restoreCluster(cluster)
    await pair.primary.query('insert into tombstones (segment_id) values (1)')
    t.equal(await relay.ends(), 1)
    t.match(relay.stderr, /restored to an older state/)
  })

  await t.test('and at its next start', async (t) => {
    const stopped = startRelay(t, pair, { args: ['--json'] })
    await stopsWith(t, pair, stopped, { code: 'CLOUD_REWOUND', message: /restored to an older state/ })
  })
})

async function endSessions(pair: RelayPair, role: string): Promise<void> {
  await pair.cloud.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where usename = $1 and datname = current_database()',
    [role],
  )
}
