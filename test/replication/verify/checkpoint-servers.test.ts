import t from 'tap'
import type { Test } from 'tap'
import { createPool } from '../../../core/db.ts'
import { migrate } from '../../../core/migrate.ts'
import type { Cluster } from '../../../ops/local/cluster.ts'
import { waitForCloud } from '../../../replication/heartbeat.ts'
import { setupReplication } from '../../../replication/setup.ts'
import { copyCluster, restoreCluster } from '../../support/cluster-copy.ts'
import { privateCluster } from '../../support/clusters.ts'
import { queryRows } from '../../support/databases.ts'
import { createPair, plant, withRole, type Replication } from '../support.ts'
import { said } from './plants.ts'
import { ResumableRuns, reusedRows } from './resumable.ts'

const lexicon = { tables: ['lexicon'] }

t.test('a cloud that was put back is compared anew, though its xids came again', async (t) => {
  const cluster = await privateCluster(t, 'cloud')
  const pair = await pairWith(t, cluster)
  const runs = new ResumableRuns(t, pair)

  t.ok(await runs.stop(1, lexicon))
  t.equal(reusedRows(await runs.run(lexicon)), 2000, 'as long as it runs')

  await copyCluster(cluster)
  await burnTransactions(pair, 200)
  t.ok(await runs.stop(1, lexicon))
  await restoreCluster(cluster)
  // With an xid that lies before the snapshot in which the row was compared, and then the counter passes that again.
  await plant(pair.cloud, 'update lexicon set documents = 2 where term = 7')
  await burnTransactions(pair, 400)
  await waitForCloud({ ...pair, timeoutMs: 60_000 })
  const results = await runs.run(lexicon)
  t.strictSame(said(results).proven, ['lexicon changed 7 documents'])
  t.equal(reusedRows(results), 0)
  t.match(runs.notes, [/the server of the cloud was started anew since$/])
})

t.test('when a process of the server crashes, what is kept still holds', async (t) => {
  const cluster = await privateCluster(t, 'cloud')
  const pair = await pairWith(t, cluster)
  const runs = new ResumableRuns(t, pair)
  t.ok(await runs.stop(1, lexicon))
  const startedAt = 'select pg_postmaster_start_time()::text as "at"'
  const before = await pair.cloud.query<{ at: string }>(startedAt)
  const victim = await pair.cloud.query<{ pid: number }>('select pg_backend_pid() as "pid"')
  process.kill(victim.rows[0]?.pid ?? 0, 'SIGKILL')
  await untilAnswers(pair)
  t.strictSame(
    (await pair.cloud.query<{ at: string }>(startedAt)).rows,
    before.rows,
    'the time does not tell',
  )
  await plant(pair.cloud, 'update lexicon set documents = 2 where term = 7')
  await waitForCloud({ ...pair, timeoutMs: 60_000 })
  const results = await runs.run(lexicon)
  t.strictSame(said(results).proven, ['lexicon changed 7 documents'])
  t.ok(reusedRows(results) > 0)
})

t.test('what the cloud has not on its disk yet is not kept', async (t) => {
  const cluster = await privateCluster(t, 'cloud')
  const pair = await pairWith(t, cluster)
  const runs = new ResumableRuns(t, pair)
  // Who writes the log stands still, and nobody who commits waits for it.
  await queryRows(cluster.superuserUrl(), 'alter system set synchronous_commit = off')
  await queryRows(cluster.superuserUrl(), 'select pg_reload_conf()')
  const [writer] = await queryRows<{ pid: number }>(
    cluster.superuserUrl(),
    `select pid from pg_stat_activity where backend_type = 'walwriter'`,
  )
  const writing = setInterval(() => void pair.cloud.query('select txid_current()').catch(() => undefined), 20)
  process.kill(writer?.pid ?? 0, 'SIGSTOP')
  try {
    t.ok(await runs.stop(1, lexicon))
  } finally {
    process.kill(writer?.pid ?? 0, 'SIGCONT')
    clearInterval(writing)
  }
  t.equal(reusedRows(await runs.run(lexicon)), 0)
})

async function pairWith(t: Test, cluster: Cluster): Promise<Replication> {
  const made = await createPair(t)
  const name = new URL(made.cloudUrl).pathname.slice(1)
  await queryRows(cluster.superuserUrl(), `create database ${name}`)
  const cloudUrl = cluster.superuserUrl(name)
  await migrate(cloudUrl)
  const { username, password } = new URL(made.readerUrl)
  const readerUrl = withRole(cloudUrl, decodeURIComponent(username), decodeURIComponent(password))
  const report = await setupReplication({ ...made, cloudUrl, readerUrl })
  const primary = createPool({ connectionString: made.primaryUrl, applicationName: 'homeport test' })
  const cloud = createPool({ connectionString: cloudUrl, applicationName: 'homeport test' })
  t.teardown(() => Promise.all([primary.end(), cloud.end()]))
  const pair = { ...made, cloudUrl, readerUrl, report, primary, cloud }
  await primary.query('insert into lexicon select i, 1 from generate_series(1, 3000) i')
  await waitForCloud({ ...pair, timeoutMs: 60_000 })
  return pair
}

async function burnTransactions({ cloud }: Replication, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await cloud.query('select txid_current()')
}

async function untilAnswers({ cloud }: Replication): Promise<void> {
  for (;;) {
    try {
      await cloud.query('select 1')
      return
    } catch {
      // It is replaying its log.
      await new Promise((go) => setTimeout(go, 100))
    }
  }
}
