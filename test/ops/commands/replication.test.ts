import t from 'tap'
import { createPool } from '../../../core/db.ts'
import { publishedTables } from '../../../core/published-tables.ts'
import { choosePort } from '../../../ops/local/ports.ts'
import { createPair, plant, withRole } from '../../replication/support.ts'
import { createDatabase } from '../../support/databases.ts'
import { ops, opsProcess, type Outcome } from './support.ts'

const secret = 'hunter2secret'

t.test('from two bare databases to a verified copy, and back', async (t) => {
  const seen: Outcome[] = []
  const pair = await createPair(t, secret)
  const primaryUrl = await createDatabase(t, 'primary', { migrate: false })
  const cloudUrl = await createDatabase(t, 'cloud', { migrate: false })
  const settings = {
    LOCAL_DATABASE_URL: primaryUrl,
    PRODUCTION_DATABASE_URL: cloudUrl,
    DATABASE_URL: withRole(cloudUrl, new URL(pair.readerUrl).username, secret),
    REPLICATION_DATABASE_URL: withRole(primaryUrl, new URL(pair.replicationUrl).username, secret),
  }
  const run = async (...words: string[]): Promise<Outcome> => {
    const outcome = await ops(settings, ...words)
    seen.push(outcome)
    return outcome
  }
  const json = async (...words: string[]): Promise<{ exitCode: number; value: Record<string, unknown> }> => {
    const { exitCode, stdout } = await run(...words, '--json')
    return { exitCode, value: JSON.parse(stdout) as Record<string, unknown> }
  }

  const dry = await run('migrate', '--dry-run')
  t.equal(dry.exitCode, 0)
  t.match(dry.stdout, /-- cloud: 001-content\.sql[\s\S]*create table sources/)
  const early = await run('setup-replication')
  t.match(early, { exitCode: 2, stderr: /none of the tables[\s\S]*ops migrate/ })
  const migrated = await json('migrate')
  t.match(migrated, {
    exitCode: 0,
    value: { dryRun: false, cloud: ['001-content.sql'], primary: ['001-content.sql'] },
  })
  t.match(await json('migrate'), { exitCode: 0, value: { cloud: [], primary: [] } })

  t.match(await json('setup-replication', '--dry-run'), {
    exitCode: 0,
    value: { dryRun: true, changed: true, copy: null },
  })
  t.match(await json('setup-replication'), {
    exitCode: 0,
    value: { changed: true, copy: { tables: publishedTables.length } },
  })
  t.match(await run('setup-replication'), { exitCode: 0, stdout: /^Nothing to change/ })
  t.match(await json('index'), { exitCode: 0, value: { model: null, created: false } })

  const sound = await json('monitor', '--once')
  t.match(sound, { exitCode: 0, value: { ok: true, findings: [], subscription: { running: true } } })
  const cloud = createPool({ connectionString: cloudUrl, applicationName: 'homeport test' })
  t.teardown(() => cloud.end())
  await plant(cloud, 'insert into lexicon values (5, 1)')
  const drift = await run('monitor', '--once')
  t.equal(drift.exitCode, 3)
  t.match(drift.stdout, /lexicon +drift +0 +1[\s\S]*lexicon 5: extra/)
  await plant(cloud, 'delete from lexicon')

  const status = await json('status')
  t.match(status, { exitCode: 0, value: { primary: { error: null }, replication: { lag: { seconds: 0 } } } })
  t.match(await run('status'), { stdout: new RegExp(`follows +yes: ${publishedTables.length} of`) })

  t.match(await run('teardown-replication'), { exitCode: 2, stderr: /nothing was removed/ })
  t.match(await run('teardown-replication', '--yes'), { exitCode: 0, stdout: /^Removed: subscription/ })
  for (const { stdout, stderr } of seen) t.notMatch(stdout + stderr, secret)
})

t.test('when a server does not answer or a setting is wrong', async (t) => {
  const pair = await createPair(t, secret)
  const gone = new URL(pair.cloudUrl)
  gone.searchParams.delete('host')
  gone.hostname = '127.0.0.1'
  gone.port = String(await choosePort())
  gone.username = 'someone'
  gone.password = secret
  const settings = { LOCAL_DATABASE_URL: pair.primaryUrl, PRODUCTION_DATABASE_URL: gone.href }
  const cases: [Record<string, string>, string[], number, RegExp][] = [
    [settings, ['monitor', '--once'], 1, /Error: .*nothing listens there\nTry: /],
    [settings, ['migrate'], 1, /nothing listens there/],
    [settings, ['setup-replication'], 2, /DATABASE_URL is not set/],
    [{}, ['status'], 2, /LOCAL_DATABASE_URL is not set/],
    [{ ...settings, LOCAL_DATABASE_URL: 'mysql://x' }, ['status'], 2, /LOCAL_DATABASE_URL is not a URL/],
    [settings, ['monitor', '--beat-seconds', '0'], 2, /whole number from 1/],
    [{ ...settings, PRODUCTION_DATABASE_URL: pair.primaryUrl }, ['migrate'], 2, /the same database/],
    [
      { ...settings, PRODUCTION_DATABASE_URL: withRole(pair.cloudUrl, 'nobody', secret) },
      ['index'],
      1,
      /password is wrong/,
    ],
  ]
  for (const [env, words, exitCode, stderr] of cases) {
    const outcome = await ops(env, ...words)
    t.match(outcome, { exitCode, stderr, stdout: '' }, words.join(' '))
    t.notMatch(outcome.stderr, secret)
  }
  const status = await ops(settings, 'status')
  t.equal(status.exitCode, 1)
  t.match(status.stdout, /primary +Postgres 1\d[\s\S]*cloud +.*nothing listens there[\s\S]*sources +0 +\?/)
})

t.test('every command has help with examples', async (t) => {
  const words = [
    'migrate',
    'schema',
    'setup-replication',
    'teardown-replication',
    'monitor',
    'status',
    'index',
  ]
  for (const word of words) {
    const help = await ops({}, word, '--help')
    t.match(help, { exitCode: 0, stdout: /Examples:\n +\$ ops / }, word)
    t.match(help.stdout, '--json')
  }
})

t.test('as a process: exit code and streams', async (t) => {
  t.match(await opsProcess({}, 'status', '--json'), {
    exitCode: 2,
    stdout: '',
    stderr: /^{"error":{"code":"CONFIG_MISSING"/,
  })
  t.match(await opsProcess({}, 'nothing'), { exitCode: 2, stderr: /unknown command/ })
})
