import t, { type Test } from 'tap'
import { publishedTables } from '../../../core/published-tables.ts'
import { choosePort } from '../../../ops/local/ports.ts'
import { createRelaySetup, opsSettings } from '../../replication/relay/setup/support.ts'
import { fillTalks } from '../../replication/relay/seed/support.ts'
import { plant, withRole } from '../../replication/support.ts'
import { temporaryFolder, until } from '../../support/api.ts'
import { createDatabase } from '../../support/databases.ts'
import { startOps, type OpsProcess } from '../../support/ops-process.ts'
import { ops, type Outcome } from './support.ts'

const secret = 'hunter2secret'

/** What `--json` prints, read as any. */
interface Answer {
  exitCode: number
  value: Record<string, unknown>
  stderr: string
}

async function json(settings: Record<string, string>, ...words: string[]): Promise<Answer> {
  const { exitCode, stdout, stderr } = await ops(settings, ...words, '--json')
  return { exitCode, stderr, value: JSON.parse(stdout === '' ? '{}' : stdout) as Record<string, unknown> }
}

function startRelay(t: Test, settings: Record<string, string>): OpsProcess {
  const more = { RELAY_STATE_PATH: temporaryFolder(t), RELAY_PORT: '0' }
  return startOps(t, { args: ['relay'], settings: { ...settings, ...more } })
}

t.test('set up, watched, stopped, damaged and torn down', async (t) => {
  const seen: Outcome[] = []
  const pair = await createRelaySetup(t, { password: secret })
  await fillTalks(pair.primary, 1, 60)
  const settings = opsSettings(pair)
  const run = async (...words: string[]): Promise<Outcome> => {
    const outcome = await ops(settings, ...words)
    seen.push(outcome)
    return outcome
  }
  const setUp = ['setup-replication', '--mode', 'relay']
  t.match(await run(...setUp, '--dry-run'), {
    exitCode: 0,
    stdout: /-- primary: .*\nCREATE_REPLICATION_SLOT/,
  })
  t.match(await run('status'), { exitCode: 0, stdout: /follows +no: ops setup-replication/ })
  const done = await json(settings, ...setUp, '--jobs', '2')
  t.match(done, {
    exitCode: 0,
    value: {
      mode: 'relay',
      changed: true,
      copy: { tables: publishedTables.length, rows: 4 * 54 + 1 },
      index: { created: true },
    },
  })
  t.match(await run(...setUp), { exitCode: 0, stdout: /^Nothing to change: ops relay can push/ })

  const before = await json(settings, 'monitor', '--once')
  t.match(before, {
    exitCode: 3,
    value: { ok: false, relay: { state: 'following', running: false, holder: null } },
  })
  t.match(before.value['findings'], [
    { code: 'RELAY_NOT_RUNNING', severity: 'error', message: /none ever ran/ },
  ])

  const relay = startRelay(t, settings)
  const verdictsOf = (answer: { value: Record<string, unknown> }): { verdict: string }[] =>
    answer.value['tables'] as { verdict: string }[]
  const sound = await until(
    () => json(settings, 'monitor', '--once'),
    // A look that began before the relay did cannot wait for its beat.
    (answer) => answer.exitCode === 0 && verdictsOf(answer).every((one) => one.verdict === 'match'),
    60_000,
  )
  t.match(sound.value, {
    ok: true,
    subscription: null,
    relay: { running: true, stop: null, conflicts: 0, quarantined: [] },
  })
  t.equal(verdictsOf(sound).length, publishedTables.length, 'every table is compared behind the beat')
  t.match(await run('monitor', '--once', '--max-lag-seconds', '30'), {
    exitCode: 0,
    stdout: /relay +running: .*, cloud at /,
  })
  t.match(await run('status'), { exitCode: 0, stdout: /relay +running: .* behind, slot keeps/ })
  t.match(await json(settings, 'status'), { value: { replication: { relay: { running: true } } } })
  t.match(await run('reseed', 'lexicon', '--yes'), { exitCode: 1, stderr: /another relay/ })

  await plant(pair.cloud, 'insert into lexicon values (5, 1)')
  t.match(await run('monitor', '--once'), {
    exitCode: 3,
    stdout: /lexicon 5: extra[\s\S]*ops repair lexicon/,
  })
  await pair.cloud.query(
    `insert into relay_quarantine (slot, commit_lsn, table_name, operation, key, error_code, reason)
     select slot, '0/1', 'segments', 'insert', '{5}', '23514', 'x' from relay_progress`,
  )
  const red = await run('monitor', '--once')
  t.match(red, {
    exitCode: 3,
    stdout: /segments +match, quarantine[\s\S]*✗ cloud: the cloud refused 1 row of segments/,
  })
  t.match(await run('status'), { stdout: /1 of segments in quarantine[\s\S]*ops repair segments --apply/ })
  t.match((await json(settings, 'monitor', '--once')).value['findings'], [
    { code: 'QUARANTINED', table: 'segments' },
    { code: 'DRIFT', table: 'lexicon' },
  ])

  t.match(await relay.terminate(), { code: 0 })
  t.match(await run('reseed', 'lexicon', 'segments', '--yes'), {
    exitCode: 0,
    stdout: /^Copied 54 rows of 2 tables/,
  })
  const again = startRelay(t, settings)
  await until(
    () => json(settings, 'monitor', '--once'),
    (answer) => answer.exitCode === 0,
    60_000,
  )
  await again.kill()
  await pair.cloud.query(
    `update relay_progress set state = 'stopped', holder_until = now() - interval '1 minute',
       stop_code = 'SCHEMA_MISMATCH', stop_message = 'it does not fit', stop_hint = 'ops migrate'`,
  )
  t.match(await run('status'), {
    stdout: /stopped: SCHEMA_MISMATCH[\s\S]*✗ cloud: it does not fit\n +ops migrate/,
  })
  t.match(await json(settings, 'monitor', '--once'), {
    exitCode: 3,
    value: {
      relay: {
        running: false,
        stop: { code: 'SCHEMA_MISMATCH', message: 'it does not fit', hint: 'ops migrate' },
      },
    },
  })

  t.match(await run('setup-replication'), { exitCode: 2, stderr: /the relay fills this cloud/ })
  t.match(await run('teardown-replication', '--yes', '--roles'), {
    exitCode: 0,
    stdout: /^Removed: record of the relay, role .*slot .*publication homeport/,
  })
  t.match(await json(settings, 'teardown-replication', '--yes'), {
    value: { removed: [], restored: [], left: [] },
  })
  for (const { stdout, stderr } of seen) t.notMatch(stdout + stderr, secret)
})

t.test('wrong settings and words', async (t) => {
  const pair = await createRelaySetup(t, { password: secret })
  const settings = opsSettings(pair)
  const without = (name: string): Record<string, string> =>
    Object.fromEntries(Object.entries(settings).filter(([key]) => key !== name))
  const bare = await createDatabase(t, 'cloud', { migrate: false })
  const setUp = ['setup-replication', '--mode', 'relay']
  const port = await choosePort()
  const cases: [Record<string, string>, string[], 1 | 2, RegExp][] = [
    [without('RELAY_DATABASE_URL'), setUp, 2, /RELAY_DATABASE_URL is not set/],
    [without('REPLICATION_DATABASE_URL'), setUp, 2, /REPLICATION_DATABASE_URL is not set/],
    [without('LOCAL_DATABASE_URL'), ['reseed', '--yes'], 2, /LOCAL_DATABASE_URL is not set/],
    [{ ...settings, RELAY_DATABASE_URL: 'x' }, setUp, 2, /RELAY_DATABASE_URL is not a URL/],
    [{ ...settings, GATEWAY_DATABASE_URL: 'x' }, setUp, 2, /GATEWAY_DATABASE_URL is not a URL/],
    [{ ...settings, PRODUCTION_DATABASE_URL: pair.primaryUrl }, setUp, 2, /the same database/],
    [
      { ...settings, RELAY_DATABASE_URL: settings['DATABASE_URL'] ?? '' },
      setUp,
      2,
      /names the same role as DATABASE_URL/,
    ],
    [
      { ...settings, PRODUCTION_DATABASE_URL: bare, ...asOn(bare, settings) },
      setUp,
      2,
      /none of the tables\nTry: ops migrate/,
    ],
    [settings, [...setUp, '--via', 'gateway'], 2, /PRODUCTION_API_URL is not set/],
    [
      { ...settings, PRODUCTION_API_URL: `http://127.0.0.1:${port}`, PRODUCTION_API_KEY: secret },
      [...setUp, '--via', 'gateway'],
      1,
      /gateway/,
    ],
    [settings, ['setup-replication', '--mode', 'push'], 2, /Allowed choices are native, relay/],
    [settings, [...setUp, '--jobs', '0'], 2, /whole number from 1/],
    [settings, ['reseed', 'nothing', '--yes'], 2, /no published table nothing[\s\S]*sources, segments/],
    [settings, ['reseed'], 2, /nothing was emptied\nTry: ops reseed --yes/],
    [settings, ['reseed', '--yes'], 2, /no record of a relay\nTry: ops setup-replication --mode relay/],
  ]
  for (const [env, words, exitCode, stderr] of cases) {
    const outcome = await ops(env, ...words)
    t.match(outcome, { exitCode, stderr, stdout: '' }, `${words.join(' ')}: ${stderr.source}`)
    t.notMatch(outcome.stderr, secret)
  }
  const slots = await pair.primary.query(
    'select from pg_replication_slots where database = current_database()',
  )
  t.equal(slots.rowCount, 0, 'no slot stays behind')
})

/** The cloud's roles in another database. */
function asOn(url: string, settings: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    ['DATABASE_URL', 'RELAY_DATABASE_URL', 'GATEWAY_DATABASE_URL'].map((name) => {
      const { username } = new URL(settings[name] ?? '')
      return [name, withRole(url, username, secret)]
    }),
  )
}
