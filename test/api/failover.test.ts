import t from 'tap'
import type { HealthReport } from '../../api/health.ts'
import { probeDelayMs } from '../../api/search/failover.ts'
import { migrate } from '../../core/migrate.ts'
import { startApi, until } from '../support/api.ts'
import { privateCluster } from '../support/clusters.ts'
import { seedContent } from '../support/content.ts'
import { queryRows } from '../support/databases.ts'
import { talks } from '../support/talks.ts'

void t.test('waits longer the more often the database fails', async (t) => {
  t.same(
    [0, 1, 2, 3, 4, 5, 6, 1000].map(probeDelayMs),
    [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000],
  )
})

void t.test('a database that dies, hangs and comes back', { timeout: 120_000 }, async (t) => {
  const cluster = await privateCluster(t, 'cloud')
  await queryRows(cluster.superuserUrl(), 'create database content')
  const url = cluster.superuserUrl('content')
  await migrate(url)
  await seedContent(url, { sources: talks, model: { id: 1, dimensions: 16 }, verdict: 'match' })
  const api = await startApi(t, { databaseUrl: url })
  await until(
    () => api.get<HealthReport>('/health'),
    ({ body }) => body.fallback.ready && body.source === 'postgres',
  )
  const ask = () => api.search({ q: 'abandoned replication slot' })
  const fromPostgres = await ask()
  t.equal(fromPostgres.body.source, 'postgres')
  const top = fromPostgres.body.hits.map((hit) => hit.segmentId)

  async function answersFromMemory(what: string) {
    const answers = await Promise.all(Array.from({ length: 30 }, ask))
    t.same([...new Set(answers.map((answer) => answer.status))], [200], `${what}: nobody is refused`)
    const settled = await until(ask, ({ body }) => body.source === 'memory')
    t.same(
      settled.body.hits.map((hit) => hit.segmentId),
      top,
      `${what}: the same ranking`,
    )
    t.match(settled.body.freshness, { asOf: String, verified: { verdict: 'match' } })
    const health = await until(
      () => api.get<HealthReport>('/health'),
      ({ body }) => body.source === 'memory',
    )
    t.match(health, { status: 200, body: { status: 'warn', database_mode: String } })
    t.match(await api.get('/ready'), { status: 200, body: { source: 'memory' } })
    t.match(await api.get('/live'), { status: 200 })
  }
  async function comesBack(what: string) {
    await until(ask, ({ body }) => body.source === 'postgres')
    const answers = await Promise.all(Array.from({ length: 10 }, ask))
    t.same([...new Set(answers.map(({ body }) => body.source))], ['postgres'], `${what}: and it stays`)
  }

  await cluster.stop()
  await answersFromMemory('stopped')
  await cluster.start()
  await comesBack('started')

  const { pid } = cluster
  if (pid === undefined) throw new Error('the cluster does not run')
  const backends = await queryRows<{ pid: number }>(
    url,
    `select pid from pg_stat_activity where application_name = 'homeport api'`,
  )
  const frozen = [pid, ...backends.map((row) => row.pid)]
  frozen.forEach((each) => process.kill(each, 'SIGSTOP'))
  try {
    await answersFromMemory('hanging')
  } finally {
    frozen.forEach((each) => process.kill(each, 'SIGCONT'))
  }
  await comesBack('awake')
})

void t.test(
  'a role that can write, found when the database comes up later',
  { timeout: 60_000 },
  async (t) => {
    const cluster = await privateCluster(t, 'cloud')
    await queryRows(cluster.superuserUrl(), 'create database content')
    const url = cluster.superuserUrl('content')
    await migrate(url)
    await seedContent(url, { sources: talks })
    const { snapshotPath } = await filledSnapshot()
    await cluster.stop()

    const api = await startApi(t, { databaseUrl: url, allowWritableRole: false, snapshotPath })
    const first = await until(
      () => api.search({ q: 'replication slot' }),
      ({ status }) => status === 200,
    )
    t.equal(first.body.source, 'memory', 'the database is down at start: the snapshot answers')
    t.match((await api.get<HealthReport>('/health')).body, { role: { name: null, read_only: null } })
    await cluster.start()
    const health = await until(
      () => api.get<HealthReport>('/health'),
      ({ body }) => body.role.read_only === false,
    )
    t.match(health, {
      status: 503,
      body: { status: 'error', database_mode: 'writable', role: { override: false }, source: 'memory' },
    })
    t.equal((await api.search({ q: 'replication slot' })).body.source, 'memory', 'it is never used')
    const sessions = await queryRows(
      url,
      `select from pg_stat_activity where application_name = 'homeport api' and query like '%segment_terms%'`,
    )
    t.equal(sessions.length, 0)

    /** The snapshot that an earlier run of the api left behind. */
    async function filledSnapshot() {
      const { temporaryFolder } = await import('../support/api.ts')
      const path = `${temporaryFolder(t)}/snapshot`
      const earlier = await startApi(t, { databaseUrl: url, snapshotPath: path })
      await until(
        () => earlier.get<HealthReport>('/health'),
        ({ body }) => body.fallback.ready,
      )
      await earlier.api.stop()
      return { snapshotPath: path }
    }
  },
)

void t.test('no database and no snapshot: refused, never empty', async (t) => {
  const api = await startApi(t, { databaseUrl: 'postgres://nobody:secret@127.0.0.1:1/none' })
  const answer = await api.search({ q: 'replication' })
  t.match(answer, { status: 503, body: { code: 'NO_SOURCE' } })
  t.match(await api.get('/health'), { status: 503, body: { status: 'error', database_mode: 'unreachable' } })
  t.match(await api.get('/ready'), { status: 503 })
  t.match(await api.get('/live'), { status: 200 })
  t.notMatch(JSON.stringify((await api.get('/health')).body), /secret/)
})
