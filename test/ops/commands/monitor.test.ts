import t, { type Test } from 'tap'
import { startReceiver } from '../../replication/monitor/receiver.ts'
import { createReplication, type Replication } from '../../replication/support.ts'
import { temporaryFolder, until } from '../../support/api.ts'
import { startOps, type OpsProcess } from '../../support/ops-process.ts'
import { ops } from './support.ts'

const urls = {
  LOCAL_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none',
  PRODUCTION_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/other',
}

t.test('wrong settings and words are refused before anything is reached', async (t) => {
  const secret = 'hunter2secret'
  const cases: [Record<string, string>, string[], RegExp][] = [
    [{}, ['--verify-schedule', 'x'], /"x" is not a cron expression[\s\S]*Try: five fields/],
    [{ MONITOR_VERIFY_SCHEDULE: '99 * * * *' }, [], /not a cron expression: 99/],
    [{}, ['--verify-schedule', '0 * * * *', '--verify-seconds', '5'], /cannot be given together/],
    [{}, ['--verify-seconds', '0'], /whole number from 1/],
    [{ ALERT_WEBHOOK_URL: `ftp://${secret}` }, [], /ALERT_WEBHOOK_URL is not a URL/],
    [{ MONITOR_PING_URL: secret }, ['--once'], /MONITOR_PING_URL is not a URL/],
    [{ ALERT_COMMAND: '["a", 1]' }, [], /ALERT_COMMAND is not a program and its arguments/],
    [{ ALERT_COMMAND: '[]' }, ['--test-alert'], /ALERT_COMMAND is not a program/],
    [{ MONITOR_PORT: 'x' }, [], /MONITOR_PORT is not a whole number/],
    [{}, ['--test-alert'], /neither ALERT_WEBHOOK_URL nor ALERT_COMMAND/],
  ]
  for (const [settings, words, stderr] of cases) {
    const outcome = await ops({ ...urls, ...settings }, 'monitor', ...words)
    t.match(outcome, { exitCode: 2, stderr, stdout: '' }, `${words.join(' ')} ${stderr.source}`)
    t.notMatch(outcome.stderr, secret)
  }
})

t.test('--test-alert tries every way, and fails when one of them does', async (t) => {
  const receiver = await startReceiver(t)
  const command = JSON.stringify([process.execPath, '-e', 'process.stdin.resume()'])
  const settings = { ALERT_WEBHOOK_URL: receiver.url('/hook'), ALERT_COMMAND: command }
  t.match(await ops(settings, 'monitor', '--test-alert'), {
    exitCode: 0,
    stdout: /^webhook +arrived\ncommand +arrived/,
  })
  t.match(JSON.parse(receiver.requests[0]?.body ?? ''), { text: /test alert/, kind: 'test' })
  receiver.status = 403
  const failed = await ops(settings, 'monitor', '--test-alert', '--json')
  t.equal(failed.exitCode, 1)
  t.match(JSON.parse(failed.stdout), {
    ok: false,
    ways: [
      { way: 'webhook', ok: false, error: /HTTP 403/ },
      { way: 'command', ok: true, error: null },
    ],
  })
  const words = await ops({ ALERT_COMMAND: '/no/such/program --now' }, 'monitor', '--test-alert')
  t.match(words, { exitCode: 1, stdout: /^command +failed: \/no\/such\/program cannot be started/ })
})

function settingsOf(t: Test, pair: Replication): Record<string, string> {
  return {
    LOCAL_DATABASE_URL: pair.primaryUrl,
    PRODUCTION_DATABASE_URL: pair.cloudUrl,
    MONITOR_STATE_PATH: temporaryFolder(t),
    MONITOR_PORT: '0',
  }
}

function startMonitor(t: Test, settings: Record<string, string>): OpsProcess {
  return startOps(t, { args: ['monitor', '--beat-seconds', '1'], settings })
}

t.test('one instance: the second is told who watches; after kill -9 the next takes over', async (t) => {
  const pair = await createReplication(t)
  const settings = settingsOf(t, pair)
  const first = startMonitor(t, settings)
  await first.answered(/ verified: 11 of 11 tables match/)
  await first.said(/watching; http:\/\/127\.0\.0\.1:\d+\//)
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(first.stderr)?.[0] ?? ''
  const health = (await (await fetch(`${url}/health`)).json()) as object
  t.match(health, { program: 'homeport monitor', pid: first.pid, alerts: [] })

  // Another folder and port, as from another machine; and the same port, as started twice by mistake.
  const port = new URL(url).port
  for (const more of [{ MONITOR_STATE_PATH: temporaryFolder(t) }, { MONITOR_PORT: port }]) {
    const second = startMonitor(t, { ...settings, ...more })
    t.equal(await second.ends(), 1)
    t.match(second.stderr, new RegExp(`another monitor watches this primary: homeport monitor ${first.pid}@`))
  }
  t.match(await ops(settings, 'monitor', '--once'), { exitCode: 0 }, 'one look is always possible')

  await first.kill()
  const third = startMonitor(t, settings)
  await third.answered(/ verified: 11 of 11 tables match/)
  t.match(await third.terminate(), { code: 0 })
  // The disk is that of the machine that runs the tests.
  t.notMatch(first.stdout + third.stdout, / problem: (?!the disk)/)
})

t.test('killed before an alert arrived, the next one delivers it, once', async (t) => {
  const pair = await createReplication(t)
  const receiver = await startReceiver(t)
  receiver.status = 503
  await pair.cloud.query('alter subscription homeport disable')
  const settings = { ...settingsOf(t, pair), ALERT_WEBHOOK_URL: receiver.url('/hook') }
  const first = startMonitor(t, settings)
  await first.answered(/undelivered: webhook: it answers HTTP 503/)
  await first.kill()
  const refused = receiver.requests.length
  receiver.status = 200
  const second = startMonitor(t, settings)
  const told = (): string[] =>
    receiver.requests
      .slice(refused)
      .map(({ body }) => JSON.parse(body) as { kind: string; alert: { code: string } })
      .map(({ kind, alert }) => `${kind} ${alert.code}`)
  await until(async () => told().length > 0, Boolean, 60_000)
  await pair.cloud.query('alter subscription homeport enable')
  await until(async () => told().length > 1, Boolean, 60_000)
  t.strictSame(told(), ['raised SUBSCRIPTION_DISABLED', 'over SUBSCRIPTION_DISABLED'])
  t.match(await second.terminate(), { code: 0 })
})

t.test('compares at the times of its schedule', async (t) => {
  const pair = await createReplication(t)
  const args = ['monitor', '--json', '--beat-seconds', '1', '--verify-schedule', '*/2 * * * * *']
  const monitor = startOps(t, { args, settings: settingsOf(t, pair) })
  await monitor.answered(/(?:"event":"verified"[\s\S]*){3}/)
  const lines = monitor.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { at: string; event: string; message: string })
  t.ok(lines.every(({ at, event, message }) => Date.parse(at) > 0 && event !== '' && message !== ''))
  t.match(await monitor.terminate(), { code: 0 })
})
