import t from 'tap'
import { checkParameters, parseCredentials, toConninfo } from '../../replication/credentials.ts'
import { explainSubscriptionError } from '../../replication/explain-subscription-error.ts'
import { runMonitor } from '../../replication/monitor/run.ts'
import { setupReplication } from '../../replication/setup.ts'
import { judgeAddresses } from '../../replication/url-verdicts.ts'
import { teardownReplication } from '../../replication/teardown.ts'
import { queryRows } from '../support/databases.ts'
import { createPair, createReplication, withRole } from './support.ts'

t.test('what the addresses give away', async (t) => {
  const judge = (primary: string, cloud: string, reader: string, replicator: string): string[] => {
    const url = (address: string): string => `postgres://role:x@${address}/home`
    const urls = { primaryUrl: url(primary), cloudUrl: url(cloud), readerUrl: url(reader), replicationUrl: url(replicator) } // prettier-ignore
    return judgeAddresses(urls).map((finding) => finding.code)
  }
  t.strictSame(judge('localhost', 'cloud.example', 'cloud.example', 'home.example'), [])
  t.strictSame(
    judge('localhost', 'cloud.example', 'localhost', 'home.example'),
    [],
    'the api beside its database',
  )
  t.strictSame(
    judge('localhost', 'localhost:5433', 'cloud.example', 'localhost:5433'),
    [],
    'a tunnel each way',
  )
  t.strictSame(judge('localhost', 'localhost:5433', 'localhost', 'localhost:5433'), ['SIDES_SWAPPED'])
  t.strictSame(judge('a.example', 'b.example', 'a.example', 'b.example:5432'), ['SIDES_SWAPPED'])
  t.strictSame(judge('a.example', 'b.example', 'A.example', 'c.example'), ['READER_ELSEWHERE'])
  t.strictSame(judge('a.example', 'b.example', 'b.example', 'b.example'), ['REPLICATION_ELSEWHERE'])
})

t.test('the parts of a URL', async (t) => {
  const parse = (url: string) => parseCredentials('DATABASE_URL', url)
  t.match(parse('postgres://my%2Drole:%40%3A%2F%25%27%5C%20%C3%A4@[::1]/home'), {
    role: 'my-role',
    password: `@:/%'\\ ä`,
    parameters: [
      ['host', '::1'],
      ['port', '5432'],
    ],
  })
  t.throws(() => parse('postgres://a:100%@h/d'), {
    code: 'CONFIG_INVALID',
    exitCode: 2,
    message: /^DATABASE_URL/,
  })
  const check = (query: string) => (): void => checkParameters('X', parse(`postgres://a:b@h/d?${query}`))
  t.doesNotThrow(check('sslmode=verify-full&connect_timeout=3'))
  t.throws(check('sslmode=on'), { code: 'CONFIG_INVALID', exitCode: 2 })
  t.throws(check('pgbouncer=true'), { code: 'CONFIG_INVALID', message: /pgbouncer/ })
  const given = toConninfo(parse('postgres://a:b@h/d?connect_timeout=3')).conninfo
  t.equal(given.match(/connect_timeout/g)?.length, 1, 'what the URL says replaces our default')
  const rejected =
    'FATAL:  pg_hba.conf rejects connection for host "1.2.3.4", user "r", database "d", no encryption'
  t.equal(explainSubscriptionError(new Error(rejected)).code, 'REPLICATION_NOT_ADMITTED')
})

t.test('swapped URLs are refused before anything is written, whatever tells it', async (t) => {
  const pair = await createPair(t)
  await queryRows(pair.primaryUrl, `insert into ingested_files values ('a', 1, 'x', now())`)
  await queryRows(pair.primaryUrl, `insert into lexicon values (1, 1)`)
  const swap = (urls: typeof pair) => ({
    primaryUrl: urls.cloudUrl,
    cloudUrl: urls.primaryUrl,
    readerUrl: withRole(urls.primaryUrl, new URL(urls.replicationUrl).username, 'x'),
    replicationUrl: withRole(urls.cloudUrl, new URL(urls.readerUrl).username, 'x'),
  })
  const fresh = await setupReplication(swap(pair)).catch((error: unknown) => error)
  t.match(fresh, { code: 'CLOUD_INGESTED', exitCode: 2 })
  t.notMatch(String((fresh as { hint?: string }).hint), /truncate/, 'nobody is told to empty a primary')
  await setupReplication(pair)
  const swapped = swap(pair)
  await t.rejects(setupReplication(swapped), { code: 'SIDES_SWAPPED', exitCode: 2 })
  const beats = () => queryRows(pair.cloudUrl, 'select beat from heartbeat')
  const before = await beats()
  await t.rejects(runMonitor({ ...swapped, signal: new AbortController().signal }), { code: 'SIDES_SWAPPED' })
  t.strictSame(await beats(), before)
  await queryRows(pair.cloudUrl, 'alter subscription homeport disable')
  await queryRows(pair.cloudUrl, 'alter subscription homeport set (slot_name = none)')
  await queryRows(pair.cloudUrl, 'drop subscription homeport')
  await t.rejects(setupReplication(swapped), { code: 'SIDES_SWAPPED', message: /leads to a primary/ })
  await teardownReplication(pair)
})

t.test('an address that leads to another server is found out, and taken back', async (t) => {
  const pair = await createPair(t)
  const role = new URL(pair.replicationUrl).username
  // The cloud itself: it has a role of that name, and even a publication.
  const elsewhere = {
    ...pair,
    replicationUrl: withRole(pair.cloudUrl, role, 'secret'),
    connectTimeoutMs: 1000,
  }
  await queryRows(pair.cloudUrl, `create role ${role} login replication password 'secret'`)
  t.teardown(() => queryRows(pair.cloudUrl, `drop role ${role}`))
  const database = new URL(pair.cloudUrl).pathname.slice(1)
  const other = { code: 'DATABASE_DIFFERS' }
  await t.rejects(setupReplication(elsewhere), other, 'its database has another name')
  const alias = new URL(pair.primaryUrl).pathname.slice(1)
  await queryRows(pair.cloudUrl.replace(database, 'postgres'), `create database ${alias}`)
  t.teardown(() =>
    queryRows(pair.cloudUrl.replace(database, 'postgres'), `drop database ${alias} with (force)`),
  )
  const lookalike = pair.cloudUrl.replace(database, alias)
  await queryRows(lookalike, 'create publication homeport')
  const wrong = { ...elsewhere, replicationUrl: withRole(lookalike, role, 'secret') }
  await t.rejects(setupReplication(wrong), {
    code: 'REPLICATION_ELSEWHERE',
    exitCode: 2,
    message: /removed again/,
  })
  const slots = 'select slot_name from pg_replication_slots where database = current_database()'
  t.strictSame(await queryRows(pair.primaryUrl, slots), [])
  const subscriptions =
    'select subname from pg_subscription s join pg_database d on d.oid = s.subdbid where datname = current_database()'
  t.strictSame(await queryRows(pair.cloudUrl, subscriptions), [])

  await setupReplication(pair)
  await t.rejects(setupReplication(wrong), { code: 'REPLICATION_ELSEWHERE', message: /what it was before/ })
  await queryRows(pair.primaryUrl, `insert into lexicon values (1, 1)`)
  t.equal(
    (await setupReplication(pair)).warnings.some((warning) => warning.code === 'CLOUD_BEHIND'),
    false,
  )
  await teardownReplication(pair)
})

t.test('a DATABASE_URL that leads elsewhere is remarked', async (t) => {
  const pair = await createReplication(t)
  const readerUrl = withRole(pair.primaryUrl, new URL(pair.readerUrl).username, 'x').replace(
    new URL(pair.primaryUrl).pathname,
    new URL(pair.cloudUrl).pathname,
  )
  const report = await setupReplication({ ...pair, readerUrl })
  t.ok(report.warnings.some((warning) => warning.code === 'READER_ELSEWHERE'))
  await setupReplication(pair)
})
