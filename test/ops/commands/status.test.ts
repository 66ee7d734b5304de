import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import t from 'tap'
import { runProgram } from '../../../core/cli.ts'
import { loadCommands } from '../../../ops/commands/all.ts'
import { choosePort } from '../../../ops/local/ports.ts'
import { MonitorHistory } from '../../../replication/monitor/history.ts'
import { MonitorLock } from '../../../replication/monitor/lock.ts'
import { startMonitorServer } from '../../../replication/monitor/monitor-server.ts'
import { recordVerdicts } from '../../../replication/verify/record.ts'
import { migrate } from '../../../core/migrate.ts'
import { driftAlert, quietSample } from '../../replication/monitor/sample-data.ts'
import { createPair, createReplication, insertTalk } from '../../replication/support.ts'
import { temporaryFolder, until } from '../../support/api.ts'
import { privateCluster } from '../../support/clusters.ts'
import { queryRows } from '../../support/databases.ts'
import { startOps } from '../../support/ops-process.ts'
import { ops } from './support.ts'

/** A machine that is busy looks seldom. */
const limitMs = 180_000

interface Answer {
  at: string
  primary: { error: string | null }
  cloud: { error: string | null }
  tables: { table: string; verdict: string | null; fullAt: string | null }[]
  monitor: { running: boolean | null; session: string | null; url: string | null; alerts: unknown[] | null }
}

t.test('proofs in full, and the monitor', async (t) => {
  const pair = await createReplication(t)
  await insertTalk(pair.primary, { id: 1 })
  const folder = join(temporaryFolder(t), 'monitor')
  const port = await choosePort()
  const settings = {
    LOCAL_DATABASE_URL: pair.primaryUrl,
    PRODUCTION_DATABASE_URL: pair.cloudUrl,
    MONITOR_STATE_PATH: folder,
    MONITOR_PORT: String(port),
  }
  const status = async (): Promise<{ text: string; json: Answer }> => {
    const text = await ops(settings, 'status')
    t.equal(text.exitCode, 0, text.stderr)
    return { text: text.stdout, json: JSON.parse((await ops(settings, 'status', '--json')).stdout) as Answer }
  }

  const bare = await status()
  t.match(bare.text, /^monitor +not running: ops monitor$/m)
  t.match(bare.text, /segments +1 +\d +never +never$/m)
  t.match(bare.json.monitor, { running: false, session: null, url: null, alerts: null })
  t.notOk(existsSync(folder), 'who only looks makes no folder')

  const verdict = { verdict: 'match', primaryRows: 1, lsn: '0/1' } as const
  await recordVerdicts(pair, [
    { ...verdict, table: 'segments', isFull: true },
    { ...verdict, table: 'sources', isFull: false },
  ])
  const proven = await status()
  const tableOf = (name: string) => proven.json.tables.find((one) => one.table === name)
  t.match(tableOf('segments'), { verdict: 'match', fullAt: /^20\d\d-.*Z$/ })
  t.match(tableOf('sources'), { verdict: 'match', fullAt: null })
  t.match(proven.text, /segments +1 +\d +match 20\S+Z +20\S+Z$/m)
  t.match(proven.text, /sources +1 +\d +match 20\S+Z +never$/m)

  const history = await MonitorHistory.open({ folder })
  const drift = driftAlert(new Date())
  await history.addAlert(drift)
  const later = await status()
  t.match(later.text, /not running: ops monitor; when it last looked: 1 open alert$/m)
  t.match(
    later.text,
    /the monitor says\n✗ cloud: 3 rows of segments differ \(since 20.*\)\n +ops repair segments/,
  )
  t.match(later.json.monitor, { running: false, alerts: [drift] })

  const lock = new MonitorLock(pair.primaryUrl)
  await lock.hold()
  t.teardown(() => lock.release())
  const held = await status()
  t.match(held.text, /monitor +running: homeport monitor \d+@.*; when it last looked: 1 open alert$/m)
  t.match(held.json.monitor, { running: true, session: /homeport monitor/, url: null })

  const sample = quietSample(new Date())
  const server = await startMonitorServer({
    port,
    history,
    current: () => ({ sample, alerts: [], since: sample.at }),
  })
  t.teardown(() => server.close())
  const answering = await status()
  t.match(answering.text, new RegExp(`monitor +running: http://127.0.0.1:${port}/, no open alert$`, 'm'))
  t.notMatch(answering.text, /the monitor says/, 'what it says now counts, and not its history')
  t.match(answering.json.monitor, { running: true, url: `http://127.0.0.1:${port}/`, lookedAt: sample.at })
})

class Terminal extends Writable {
  readonly isTTY = true
  readonly columns = 100
  readonly rows = 12
  text = ''
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

t.test('watched on a terminal', async (t) => {
  const pair = await createPair(t)
  const stdout = new Terminal()
  Object.assign(process.env, {
    LOCAL_DATABASE_URL: pair.primaryUrl,
    PRODUCTION_DATABASE_URL: pair.cloudUrl,
    MONITOR_STATE_PATH: temporaryFolder(t),
    MONITOR_PORT: '0',
  })
  const argv = ['status', '--watch']
  const running = runProgram({
    name: 'ops',
    description: 'x',
    commands: await loadCommands(argv),
    argv,
    stdout,
    stderr: new Terminal(),
  })
  const frames = (): string[] => stdout.text.split('\u001b[H').slice(1)
  await until(
    async () => frames().length,
    (count) => count >= 2,
    limitMs,
  )
  process.emit('SIGINT')
  t.equal(await running, 0, 'Ctrl-C is how it ends')
  for (const frame of frames()) {
    t.match(frame, /^ops status at 20\S+Z, Ctrl-C ends it/)
    t.ok(frame.endsWith('\u001b[J'), 'what was below is gone')
    t.ok(frame.split('\n').length <= 12, 'no longer than the terminal')
    t.match(frame, /… \d+ more lines/)
  }
})

t.test('watched elsewhere, while a server goes away and comes back', async (t) => {
  const pair = await createPair(t)
  const cluster = await privateCluster(t, 'cloud')
  await queryRows(cluster.superuserUrl(), 'create database content')
  const cloudUrl = cluster.superuserUrl('content')
  await migrate(cloudUrl)
  const settings = {
    LOCAL_DATABASE_URL: pair.primaryUrl,
    PRODUCTION_DATABASE_URL: cloudUrl,
    MONITOR_STATE_PATH: temporaryFolder(t),
    MONITOR_PORT: '0',
  }
  const json = startOps(t, { args: ['status', '--watch', '--json'], settings })
  const text = startOps(t, { args: ['status', '--watch'], settings })
  const answers = (): Answer[] =>
    json.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Answer)
  const saw = (wished: (answer: Answer) => boolean): Promise<number> => {
    const from = answers().length
    return until(
      async () => answers().slice(from).filter(wished).length,
      (count) => count > 0,
      limitMs,
    )
  }
  await saw(({ cloud }) => cloud.error === null)
  await cluster.stop()
  await saw(
    ({ cloud, primary }) => /PRODUCTION_DATABASE_URL/.test(cloud.error ?? '') && primary.error === null,
  )
  await cluster.start()
  await saw(({ cloud }) => cloud.error === null)
  t.ok(new Set(answers().map(({ at }) => at)).size >= 3, 'each look has its time')
  await text.answered(/cloud +PRODUCTION_DATABASE_URL[\s\S]*cloud +Postgres/, limitMs)
  t.notOk(text.stdout.includes('\u001b'), 'nothing for terminals')
  for (const one of [json, text]) {
    one.signal('SIGINT')
    t.equal(await one.ends(limitMs), 0)
    t.equal(one.stderr, '')
  }
})

t.test('while the cloud is away the slot at home is shown all the same', async (t) => {
  const pair = await createReplication(t)
  const settings = {
    LOCAL_DATABASE_URL: pair.primaryUrl,
    PRODUCTION_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/other',
    MONITOR_STATE_PATH: temporaryFolder(t),
    MONITOR_PORT: '0',
  }
  const text = await ops(settings, 'status')
  t.equal(text.exitCode, 1)
  t.match(text.stdout, new RegExp(`^slot +${pair.report.slot} active, keeps [\\d.]+ \\w+ of log`, 'm'))
  const { slots } = JSON.parse((await ops(settings, 'status', '--json')).stdout) as { slots: unknown }
  t.match(slots, [{ name: pair.report.slot, active: true, retainedBytes: /^\d+$/ }])
})

t.test('of servers that do not answer it says nothing that nobody knows', async (t) => {
  const settings = {
    LOCAL_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none',
    PRODUCTION_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/other',
    MONITOR_STATE_PATH: temporaryFolder(t),
    MONITOR_PORT: '0',
  }
  const { stdout, exitCode } = await ops(settings, 'status')
  t.equal(exitCode, 1)
  t.match(stdout, /^primary +LOCAL_DATABASE_URL: .*nothing listens there$/m)
  t.match(stdout, /^model +unknown/m)
  t.match(stdout, /^segments +\? +\? +\? +\?$/m)
  t.notMatch(stdout, /never|none active/)
  t.ok(stdout.indexOf('✗') > stdout.indexOf('segments'), 'at the end, where a person looks')
  const watched = startOps(t, { args: ['status', '--watch'], settings })
  await watched.answered(/segments/, limitMs)
  t.ok(watched.stdout.indexOf('✗') < watched.stdout.indexOf('segments'), 'at the top, which is not cut off')
  watched.signal('SIGINT')
  t.equal(await watched.ends(limitMs), 0)
})

t.test('a setting that is wrong ends it', async (t) => {
  const pair = await createPair(t)
  const urls = { LOCAL_DATABASE_URL: pair.primaryUrl, PRODUCTION_DATABASE_URL: pair.cloudUrl }
  t.match(await ops({ ...urls, MONITOR_PORT: 'x' }, 'status'), { exitCode: 2, stderr: /MONITOR_PORT/ })
  t.match(await ops({ LOCAL_DATABASE_URL: 'x' }, 'status', '--watch'), { exitCode: 2, stdout: '' })
})
