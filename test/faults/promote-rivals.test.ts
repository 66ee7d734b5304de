import t from 'tap'
import { readSubscriptionWorkers } from '../../replication/initial-copy.ts'
import { setupReplication } from '../../replication/setup.ts'
import { promote as promoteHere } from '../../replication/promote/promote.ts'
import type { PromoteOptions } from '../../replication/promote/situation.ts'
import { createReplication, insertTalk, withRole, type Replication } from '../replication/support.ts'
import { until } from '../support/api.ts'
import { createDatabase, queryRows, uniqueName } from '../support/databases.ts'
import { startOps } from '../support/ops-process.ts'
import { passFence } from '../support/oracles/equality.ts'
import { dropRole } from '../support/roles.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { apply, insert, isMarked, promote } from './promote-support.ts'

const settingsOf = (pair: Replication): Record<string, string> => ({
  LOCAL_DATABASE_URL: pair.primaryUrl,
  PRODUCTION_DATABASE_URL: pair.cloudUrl,
  REPLICATION_DATABASE_URL: pair.replicationUrl,
})

/** A promotion in this process, which can be met at every call. */
const optionsOf = (pair: Replication, more: Partial<PromoteOptions> = {}): PromoteOptions => ({
  primaryUrl: pair.primaryUrl,
  cloudUrl: pair.cloudUrl,
  replicationUrl: () => Promise.resolve(pair.replicationUrl),
  statePath: '/nowhere',
  apply: true,
  accepted: null,
  timeoutMs: 60_000,
  ...more,
})

t.test('two people at once', async (t) => {
  const pair = await createReplication(t)
  await insertTalk(pair.primary, { id: 1 })
  const to = { cloud: pair.cloud, settings: settingsOf(pair) }
  const first = startOps(t, {
    args: ['promote', ...apply, '--json'],
    settings: to.settings,
    failpoint: 'promote.after-proof:1:wait',
  })
  await first.said(/failpoint promote.after-proof wait/)
  const second = await promote(t, to, apply)
  t.match(second, {
    code: 1,
    stderr: /"code":"SETUP_RUNS".*homeport ops \(backend \d+.*pg_terminate_backend/,
  })
  const cancelled = await promote(t, to, ['--cancel'])
  t.match(cancelled, { code: 1, stderr: /"code":"SETUP_RUNS"/ }, 'nobody lifts the fence under it')
  await t.rejects(pair.primary.query(insert, [1]), { code: '25006' })
  // By hand, which no lock keeps anybody from: what was proven holds no longer.
  await pair.primary.query('drop function homeport_fence() cascade')
  await pair.primary.query(insert, [1])
  first.signal('SIGUSR2')
  t.equal(await first.ends(), 1)
  t.match(first.stderr, /"code":"FENCE_GONE"/)
  t.notOk(await isMarked(to))

  let rows = 0
  const late = await promoteHere(
    optionsOf(pair, {
      onPlan: async () => {
        await promoteHere(optionsOf(pair))
        rows = (await pair.cloud.query(insert, [2])).rowCount ?? 0
      },
    }),
  )
  t.equal(rows, 1)
  t.match(late, { applied: true, mode: 'promoted', steps: [] }, 'who agreed late finds it done')
})

t.test('two clouds of one home: the second is not made a primary beside the first', async (t) => {
  const pair = await createReplication(t)
  const { primaryUrl, replicationUrl } = pair
  const cloudUrl = await createDatabase(t, 'cloud')
  const reader = uniqueName('reader')
  t.teardown(() => dropRole(cloudUrl, reader))
  await setupReplication({ primaryUrl, cloudUrl, replicationUrl, readerUrl: withRole(cloudUrl, reader, 'x') })
  const other = { settings: { ...settingsOf(pair), PRODUCTION_DATABASE_URL: cloudUrl } }
  const first = { cloud: pair.cloud, settings: settingsOf(pair) }
  t.equal((await promote(t, first, apply, 'promote.after-fence:1:kill')).code, 137)
  for (const words of [apply, ['--cancel']]) {
    t.match(await promote(t, other, words), { code: 2, stderr: /"code":"FENCED_FOR_OTHER"/ }, words.join(' '))
    await t.rejects(pair.primary.query(insert, [1]), { code: '25006' }, 'home stays fenced')
  }
  t.equal((await promote(t, first, ['--cancel'])).code, 0)
  await pair.primary.query(insert, [1])
  const done = await promote(t, first, apply)
  t.match(done, { code: 0 }, done.stderr)
  t.match(await promote(t, other, apply), { code: 2, stderr: /"code":"FENCED_FOR_OTHER"/ })
  t.match(await promote(t, other, ['--cancel']), { code: 2, stderr: /"code":"FENCED_FOR_OTHER"/ })
  t.same(await queryRows(cloudUrl, `select from relay_progress where state = 'promoted'`), [])
})

t.test('home half alive', async (t) => {
  const pair = await createReplication(t)
  const proxy = await startTcpProxy(t, pair.primaryUrl)
  const throughUrl = proxy.through(pair.primaryUrl)
  await insertTalk(pair.primary, { id: 1 })
  await passFence(pair.primary, pair.cloud)

  await t.test('it answers again while a person agrees to the loss', async (t) => {
    proxy.set({ isDown: true })
    await pair.cloud.query('alter subscription homeport disable')
    await until(
      async () => (await readSubscriptionWorkers(pair.cloud))?.silentSeconds ?? null,
      (silentSeconds) => silentSeconds === null,
    )
    const asked = promoteHere(
      optionsOf(pair, {
        primaryUrl: throughUrl,
        accepted: 'unknown',
        onPlan: (plan) => {
          t.equal(plan.home, 'gone')
          proxy.set()
          return Promise.resolve()
        },
      }),
    )
    await t.rejects(asked, { code: 'HOME_BACK', exitCode: 2 })
    t.notOk(await isMarked(pair))
    await pair.cloud.query('alter subscription homeport enable')
  })

  await t.test('it freezes in the middle of draining', async (t) => {
    const frozen = promoteHere(
      optionsOf(pair, {
        primaryUrl: throughUrl,
        silenceMs: 2_000,
        onNote: (text) => {
          if (/waiting until the cloud/.test(text)) proxy.set({ isBlackhole: true })
        },
      }),
    )
    await t.rejects(frozen, { code: 'HOME_SILENT', message: /the cloud was not changed/, hint: /--cancel/ })
    t.notOk(await isMarked(pair))
    await t.rejects(pair.primary.query(insert, [1]), { code: '25006' }, 'it may stay fenced, as is said')
    proxy.set()
    // As the old home does after a minute: it ends sessions of a machine that does not answer.
    proxy.resetAll()
    await until(
      () =>
        queryRows(
          pair.primaryUrl,
          `select from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
        ),
      (locks) => locks.length === 0,
    )
  })

  const done = await promoteHere(optionsOf(pair))
  t.match(done, { applied: true, mode: 'native', home: 'alive', loss: { kind: 'none' } })
})
