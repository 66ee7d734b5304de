import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Cluster } from '../../ops/local/cluster.ts'
import { beat } from '../../replication/heartbeat.ts'
import { until } from '../support/api.ts'
import { privateCluster } from '../support/clusters.ts'
import { createDatabase, queryRows } from '../support/databases.ts'
import { passFence } from '../support/oracles/equality.ts'
import { watchPair } from '../support/oracles/watch.ts'
import { createRelayPair, startRelay } from '../support/relay-pair.ts'
import { apply, insert, isMarked, promote, provesPrimary } from './promote-support.ts'
import { stopsWith } from './support.ts'

t.test('home lives and cannot be drained', async (t) => {
  const pair = await createRelayPair(t)
  for (let at = 1; at <= 3; at += 1) await pair.primary.query(insert, [at])
  await pair.primary.query('delete from lexicon where term = 0')
  const words = [...apply, '--timeout-seconds', '2']
  const refused = await promote(t, pair, words)
  t.equal(refused.code, 3)
  t.match(refused.stderr, /"code":"LOSS".*4 rows \(lexicon 4\) would be lost.*--accept-loss 4/)
  t.notOk(await isMarked(pair))
  await pair.primary.query(insert, [4])
  t.match(await promote(t, pair, [...words, '--accept-loss', '4']), { code: 3, stderr: /5 rows/ })

  await t.test('nor fenced while somebody writes', async (t) => {
    const writer = await pair.primary.connect()
    await writer.query('begin')
    await writer.query(insert, [9])
    const held = await promote(t, pair, words)
    t.match(held, { code: 1, stderr: /"code":"WRITERS_STAY".*homeport test \(backend \d+/ })
    await writer.query('rollback')
    writer.release()
  })

  await t.test('what fails before the cloud is marked lets home go, and after it does not', async (t) => {
    t.match(await promote(t, pair, words, 'promote.after-drain:1:throw'), { code: 1, stderr: /failpoint/ })
    await pair.primary.query(insert, [5])
    await pair.primary.query('delete from lexicon where term = 1000005')
    const other = await createDatabase(t, 'primary')
    const wrong = { ...pair, settings: { ...pair.settings, LOCAL_DATABASE_URL: other } }
    t.match(
      await promote(t, wrong, words),
      { code: 2, stderr: /"code":"PRIMARY_CHANGED"/ },
      'nor is any other fenced',
    )
    await queryRows(other, 'insert into lexicon values (1, 1)')
    const late = await promote(t, pair, [...words, '--accept-loss', '5'], 'promote.after-step:1:throw')
    t.match(late, { code: 1, stderr: /not in the new primary: 5 rows \(lexicon 5\)/ })
    t.ok(await isMarked(pair))
    await t.rejects(pair.primary.query(insert, [6]), { code: '25006' })
  })

  const done = await promote(t, pair, words)
  t.match(done, { code: 0, value: { applied: true, mode: 'promoted' } }, done.stderr)
  await provesPrimary(t, pair)
})

t.test('home is gone', async (t) => {
  const primaryCluster = await privateCluster(t)
  const pair = await createRelayPair(t, { primaryCluster })
  const watch = await watchPair(t, pair)
  const relay = startRelay(t, pair)
  await watch.write({ seed: 1, operations: 20 })
  await beat(pair.primary)
  await passFence(pair.primary, pair.cloud)
  await watch.sampler.stop()
  await stopAtOnce(primaryCluster)

  const fed = await promote(t, pair, [...apply, '--accept-loss', 'unknown'])
  t.match(fed, { code: 2, stderr: /"code":"HOME_FEEDS"/ }, 'a relay that holds the lease may still write')
  await relay.kill()
  await pair.cloud.query(`update relay_progress set holder_until = now() - interval '1 second'`)
  const plan = await promote(t, pair, [])
  t.match(plan, { code: 3, value: { applied: false, home: 'gone', loss: { kind: 'unknown' } } })
  t.match(plan.stderr, /"code":"LOSS_UNKNOWN".*last heartbeat of home is/)
  t.match(await promote(t, pair, [...apply, '--accept-loss', '10']), { code: 3, stderr: /cannot be kept to/ })
  t.notOk(await isMarked(pair))
  t.equal(
    (await promote(t, pair, [...apply, '--accept-loss', 'unknown'], 'promote.after-step:1:kill')).code,
    137,
  )
  const done = await promote(t, pair, apply)
  t.match(done, { code: 0, value: { applied: true, mode: 'promoted', home: 'gone' } }, done.stderr)
  await provesPrimary(t, pair)

  await t.test('and wakes up again', async (t) => {
    await primaryCluster.start()
    await queryRows(pair.primaryUrl, insert, [1])
    const old = startRelay(t, pair, { args: ['--json'] })
    await stopsWith(t, pair, old, { code: 'PROMOTED', message: /is a primary of its own/ })
    t.equal((await pair.cloud.query('select from lexicon where term = 1000001')).rowCount, 0)
    const again = await promote(t, pair, apply)
    t.match(
      again,
      { code: 0, value: { home: 'alive', mode: 'promoted', loss: { kind: 'rows', rows: 1 } } },
      again.stderr,
    )
    await t.rejects(queryRows(pair.primaryUrl, insert, [2]), { code: '25006' })
    t.equal((await queryRows(pair.primaryUrl, 'select from pg_replication_slots')).length, 0)
  })
})

/** As a power cut does. */
async function stopAtOnce(cluster: Cluster): Promise<void> {
  const pid = Number(readFileSync(join(cluster.folder, 'data', 'postmaster.pid'), 'utf8').split('\n')[0])
  process.kill(pid, 'SIGQUIT')
  await until(
    async () => existsSync(join(cluster.folder, 'data', 'postmaster.pid')),
    (isThere) => !isThere,
  )
}
