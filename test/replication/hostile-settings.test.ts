import { readFileSync } from 'node:fs'
import t from 'tap'
import { connect, createPool } from '../../core/db.ts'
import { migrate } from '../../core/migrate.ts'
import { waitForCloud } from '../../replication/heartbeat.ts'
import { runStatement } from '../../replication/run-statement.ts'
import { openServer } from '../../replication/servers.ts'
import { ops } from '../ops/commands/support.ts'
import { testClusters } from '../support/clusters.ts'
import { createDatabase, queryRows, uniqueName } from '../support/databases.ts'
import { createPair, createReplication, insertTalk, withRole } from './support.ts'

const cloudSettings = [
  'standard_conforming_strings = off',
  'extra_float_digits = -5',
  `timezone = 'Asia/Kolkata'`,
  `datestyle = 'German'`,
  `intervalstyle = 'iso_8601'`,
  `bytea_output = 'escape'`,
  `search_path = 'pg_catalog'`,
  `idle_in_transaction_session_timeout = '30ms'`,
]
const primarySettings = [
  `default_transaction_isolation = 'serializable'`,
  `timezone = 'America/Caracas'`,
  `idle_in_transaction_session_timeout = '30ms'`,
]

async function alterDatabase(url: string, settings: readonly string[]): Promise<void> {
  const database = new URL(url).pathname.slice(1)
  for (const setting of settings) await queryRows(url, `alter database ${database} set ${setting}`)
}

t.test('settings of a server stop nothing and change no hash', async (t) => {
  const pair = await createPair(t)
  await alterDatabase(pair.cloudUrl, cloudSettings)
  await alterDatabase(pair.primaryUrl, primarySettings)
  const primary = createPool({ connectionString: pair.primaryUrl, applicationName: 'homeport test' })
  t.teardown(() => primary.end())
  await insertTalk(primary, { id: 1, text: `a \\ and 'quotes', ä and 😀` })
  const env = {
    LOCAL_DATABASE_URL: pair.primaryUrl,
    PRODUCTION_DATABASE_URL: pair.cloudUrl,
    DATABASE_URL: pair.readerUrl,
    REPLICATION_DATABASE_URL: pair.replicationUrl,
  }
  // The workers of the subscription would read UTF8 as this, and store what they read.
  await alterDatabase(pair.cloudUrl, [`client_encoding = 'LATIN1'`])
  t.match(await ops(env, 'setup-replication'), { exitCode: 2, stderr: /garbled[\s\S]*reset client_encoding/ })
  await queryRows(
    pair.cloudUrl,
    `alter database ${new URL(pair.cloudUrl).pathname.slice(1)} reset client_encoding`,
  )
  for (const words of [['migrate'], ['setup-replication'], ['index'], ['monitor', '--once'], ['status']]) {
    const outcome = await ops(env, ...words)
    t.equal(outcome.exitCode, 0, `${words.join(' ')}: ${outcome.stderr}${outcome.stdout}`)
  }
})

t.test('pgvector in a schema of its own, and a schema with the name of the owner', async (t) => {
  const pair = await createPair(t)
  const cloudUrl = await createDatabase(t, 'cloud', { migrate: false })
  const primaryUrl = await createDatabase(t, 'primary', { migrate: false })
  for (const url of [cloudUrl, primaryUrl]) {
    await queryRows(url, 'create schema "vector things"')
    await queryRows(url, 'create schema postgres')
    await queryRows(url, 'create extension vector schema "vector things"')
    await migrate(url)
    t.match(await queryRows(url, `select to_regclass('public.segments') is not null as public`), [
      { public: true },
    ])
  }
  const env = {
    LOCAL_DATABASE_URL: primaryUrl,
    PRODUCTION_DATABASE_URL: cloudUrl,
    DATABASE_URL: withRole(cloudUrl, new URL(pair.readerUrl).username, 'x'),
    REPLICATION_DATABASE_URL: withRole(primaryUrl, new URL(pair.replicationUrl).username, 'x'),
  }
  await queryRows(
    primaryUrl,
    `insert into public.models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state)
     values (1, 'test', 'lsa', 'x', 3, 0.8, 0.2, 'active')`,
  )
  for (const words of [['setup-replication'], ['monitor', '--once']]) {
    const outcome = await ops(env, ...words)
    t.equal(outcome.exitCode, 0, `${words.join(' ')}: ${outcome.stderr}`)
  }
  const reader = await connect({ connectionString: env.DATABASE_URL, applicationName: 'homeport test' })
  t.teardown(() => reader.end())
  await t.resolves(reader.query(`select '[1,2]'::halfvec <=> '[2,1]'::halfvec, * from segments`))
})

t.test(
  'a statement with a secret stands nowhere, also when it fails and its role cannot silence the log',
  async (t) => {
    const secret = uniqueName('hunter2')
    const url = await createDatabase(t, 'cloud', { migrate: false })
    const server = await openServer('cloud', url)
    t.teardown(() => server.pool.end())
    const plain = { ...server, facts: { ...server.facts, superuser: false } }
    const failing = { sql: `create role "${secret}" in role ${secret}_missing`, shown: 'create role ****' }
    const error = await runStatement(plain, failing).catch((reason: unknown) => reason)
    t.match(error, { code: '42704' }, 'the server’s own code')
    const held = runStatement(plain, { sql: `select pg_sleep(1), '${secret}'`, shown: 'select' })
    const statements = 'select query from pg_stat_activity where pid <> pg_backend_pid()'
    let busy: { query: string }[] = []
    while (!busy.some((row) => /homeport\.statement|pg_sleep/.test(row.query)))
      busy = await queryRows(url, statements)
    t.notMatch(JSON.stringify(busy), secret)
    await held
    const log = readFileSync((await testClusters()).cloud.logFile, 'utf8')
    // The message itself names what is missing; the statement must not follow it.
    t.match(log, `role "${secret}_missing" does not exist`)
    t.notMatch(log, `create role "${secret}"`)
  },
)

t.test('a segment that is deleted by hand on the cloud leaves no tombstone there', async (t) => {
  const pair = await createReplication(t)
  await insertTalk(pair.primary, { id: 1 })
  await insertTalk(pair.primary, { id: 2 })
  await pair.primary.query('delete from segments where id = 2')
  const tombstones = `select segment_id::text as segment from tombstones`
  t.strictSame(await queryRows(pair.primaryUrl, tombstones), [{ segment: '2' }])
  await waitForCloud(pair)
  await pair.cloud.query('delete from segments')
  t.strictSame(await queryRows(pair.cloudUrl, tombstones), [{ segment: '2' }])
})
