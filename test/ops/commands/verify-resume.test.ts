import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { waitForCloud } from '../../../replication/heartbeat.ts'
import { createReplication, insertTalk, plant, type Replication } from '../../replication/support.ts'
import { temporaryFolder } from '../../support/api.ts'
import { startOps } from '../../support/ops-process.ts'
import { ops } from './support.ts'

interface Answer {
  verdict: string
  tables: { table: string; verdict: string; rowsFromEarlier: number; earlierSince: string | null }[]
}

let pair: Replication
let settings: Record<string, string>
let folder: string

t.before(async () => {
  pair = await createReplication(t)
  for (let id = 1; id <= 3; id += 1) await insertTalk(pair.primary, { id })
  await pair.primary.query(`insert into model_terms select 1, i, '[1,2,3]' from generate_series(1, 12000) i`)
  await waitForCloud(pair)
})

t.beforeEach((t) => {
  folder = join(temporaryFolder(t), 'verify')
  settings = {
    LOCAL_DATABASE_URL: pair.primaryUrl,
    PRODUCTION_DATABASE_URL: pair.cloudUrl,
    VERIFY_STATE_PATH: folder,
  }
})

const kept = (): string[] =>
  existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.jsonl')) : []

t.test('killed with -9 in the middle, twice, it goes on from there', async (t) => {
  await pair.primary.query('delete from verifications')
  for (const nth of [6, 7]) {
    const killed = startOps(t, { args: ['verify'], settings, failpoint: `verify.after-chunk:${nth}:kill` })
    t.match(await killed.exited, { signal: 'SIGKILL' })
    t.equal(killed.stdout, '', 'nothing is said of any table')
    t.ok(kept().length > 4)
  }
  t.strictSame((await pair.primary.query('select 1 from verifications')).rows, [], 'nor recorded')
  await plant(pair.cloud, `update model_terms set basis = '[1,2,4]' where term = 77`)
  const resumed = await ops(settings, 'verify', '--json')
  t.equal(resumed.exitCode, 3, resumed.stderr)
  const answer = JSON.parse(resumed.stdout) as Answer
  t.match(answer, { verdict: 'drift' })
  const terms = answer.tables.find((one) => one.table === 'model_terms')
  t.match(terms, {
    verdict: 'drift',
    differences: [{ key: ['1', '77'], kind: 'changed', columns: ['basis'] }],
    earlierSince: /^20\d\d-.*Z$/,
  })
  t.ok((terms?.rowsFromEarlier ?? 0) > 8000, `${terms?.rowsFromEarlier} rows`)
  t.strictSame(readdirSync(folder), [], 'a verdict was given')
  await plant(pair.cloud, `update model_terms set basis = '[1,2,3]' where term = 77`)
})

t.test('stopped by Ctrl-C it says that it can go on, and --anew does not', async (t) => {
  const stopped = startOps(t, {
    args: ['verify', 'model_terms'],
    settings,
    failpoint: 'verify.after-chunk:2:wait',
  })
  await stopped.said(/failpoint verify.after-chunk wait/)
  stopped.signal('SIGINT')
  stopped.signal('SIGUSR2')
  t.equal(await stopped.ends(), 1)
  t.match(stopped.stderr, /kept for 24 hours: the same command goes on from there\n.*stopped by SIGINT/)
  t.equal(stopped.stdout, '')
  const resumed = await ops(settings, 'verify', 'model_terms')
  t.equal(resumed.exitCode, 0, resumed.stderr)
  t.match(
    resumed.stdout,
    /match +12000 rows, 4000 of them were compared from \d\d:\d\d on and are unchanged on both sides since\n/,
  )

  const again = startOps(t, {
    args: ['verify', 'model_terms'],
    settings,
    failpoint: 'verify.after-chunk:2:kill',
  })
  await again.exited
  t.equal(kept().length, 1)
  t.match(await ops(settings, 'verify', 'model_terms', '--anew'), {
    exitCode: 0,
    stdout: /match +12000 rows\n/,
  })
  t.strictSame(readdirSync(folder), [])
})

t.test('a connection that is lost leaves what was compared', async (t) => {
  const cut = startOps(t, {
    args: ['verify', 'model_terms', '--json'],
    settings,
    failpoint: 'verify.after-chunk:2:wait',
  })
  await cut.said(/failpoint verify.after-chunk wait/)
  await pair.cloud.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name = 'homeport ops'`,
  )
  cut.signal('SIGUSR2')
  t.equal(await cut.ends(), 1)
  t.match(cut.stderr, /the same command goes on from there/)
  const answer = JSON.parse((await ops(settings, 'verify', 'model_terms', '--json')).stdout) as Answer
  t.match(answer, { verdict: 'match', tables: [{ rowsFromEarlier: 4000 }] })
})
