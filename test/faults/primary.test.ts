import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { until } from '../support/api.ts'
import { copyCluster, restoreCluster } from '../support/cluster-copy.ts'
import { privateCluster } from '../support/clusters.ts'
import { passFence } from '../support/oracles/equality.ts'
import { watchPair } from '../support/oracles/watch.ts'
import { createRelayPair, runOps, startRelay } from '../support/relay-pair.ts'
import { stopsWith } from './support.ts'

// Row 11.
t.test('a slot whose log the primary threw away', async (t) => {
  const primaryCluster = await privateCluster(t)
  const pair = await createRelayPair(t, { primaryCluster })
  const { primary, slot } = pair
  await primary.query(`alter system set max_slot_wal_keep_size = '16MB'`)
  await primary.query(`alter system set max_wal_size = '32MB'`)
  await primary.query('select pg_reload_conf()')
  await primary.query('create table noise (text text)')
  await until(
    async () => {
      await primary.query(
        `insert into noise select repeat(md5(n::text), 30) from generate_series(1, 20000) as n`,
      )
      await primary.query('select pg_switch_wal()')
      await primary.query('checkpoint')
      const { rows } = await primary.query<{ status: string }>(
        'select wal_status as status from pg_replication_slots where slot_name = $1',
        [slot],
      )
      return rows[0]?.status
    },
    (status) => status === 'lost',
    120_000,
  )
  await primary.query(`insert into tombstones (segment_id) values (1)`)
  const stopped = startRelay(t, pair, { args: ['--json'] })
  await stopsWith(t, pair, stopped, { code: 'SLOT_LOST', message: /is lost/ })
  const slots = await primary.query('select from pg_replication_slots where slot_name = $1', [slot])
  t.equal(slots.rowCount, 1, 'it was not made again behind our back')

  await runOps({ args: ['reseed', '--yes'], settings: pair.settings })
  startRelay(t, pair)
  await passFence(pair.primary, pair.cloud)
  const { rows } = await pair.cloud.query<{ slot: string }>('select slot from relay_progress')
  const watch = await watchPair(t, { ...pair, slot: rows[0]?.slot ?? '' })
  await watch.write({ seed: 1, operations: 30 })
  await watch.judge(t, 'after the new copy')
})

// Row 13.
t.test('a primary that was restored to an older state', async (t) => {
  const primaryCluster = await privateCluster(t)
  const pair = await createRelayPair(t, { primaryCluster })
  const watch = await watchPair(t, pair)
  let relay = startRelay(t, pair)
  await watch.write({ seed: 1, operations: 20 })
  await watch.judge(t, 'before the copy')
  await relay.terminate()
  await copyCluster(primaryCluster)
  relay = startRelay(t, pair)
  await watch.write({ seed: 2, operations: 60 })
  await watch.judge(t, 'before the restore')

  await t.test('under a relay that runs', async (t) => {
    await restoreCluster(primaryCluster)
    t.equal(await relay.ends(), 1)
    t.match(relay.stderr, /restored to an older state/)
  })

  await t.test('and at its next start', async (t) => {
    const before = await pair.cloud.query('select end_lsn from relay_progress')
    const stopped = startRelay(t, pair, { args: ['--json'] })
    await stopsWith(t, pair, stopped, { code: 'PRIMARY_REWOUND', message: /restored to an older state/ })
    const after = await pair.cloud.query('select end_lsn from relay_progress')
    t.same(after.rows, before.rows)
  })

  await t.test('also once it has written past the place where the cloud is', async (t) => {
    const { rows } = await pair.cloud.query<{ end: string }>('select end_lsn as end from relay_progress')
    await until(
      async () => {
        await pair.primary.query(
          'insert into tombstones (segment_id) select n from generate_series(1, 1000) as n',
        )
        const past = await pair.primary.query<{ past: boolean }>('select pg_current_wal_lsn() > $1 as past', [
          rows[0]?.end,
        ])
        return past.rows[0]?.past
      },
      (past) => past === true,
      60_000,
    )
    const stopped = startRelay(t, pair, { args: ['--json'] })
    await stopsWith(t, pair, stopped, { code: 'PRIMARY_REWOUND', message: /restored to an older state/ })
  })
})

t.test('a primary that is killed and recovers', async (t) => {
  const primaryCluster = await privateCluster(t)
  const pair = await createRelayPair(t, { primaryCluster })
  const watch = await watchPair(t, pair)
  const relay = startRelay(t, pair)
  for (const seed of [1, 2, 3]) {
    const writing = watch.write({ seed, operations: 200 }).catch(() => undefined)
    await sleep(700)
    primaryCluster.abandon()
    await writing
    await until(
      async () => primaryCluster.status(),
      (status) => status !== 'running',
    )
    await primaryCluster.start()
    await watch.judge(t, `crash ${seed}`)
  }
  t.match(await relay.terminate(), { code: 0 })
})
