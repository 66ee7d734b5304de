import t, { type Test } from 'tap'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { commandWay } from '../../../replication/monitor/delivery/command.ts'
import { Courier } from '../../../replication/monitor/delivery/courier.ts'
import { ping, webhookWay } from '../../../replication/monitor/delivery/http.ts'
import { describeNotice, testNotice, type Notice } from '../../../replication/monitor/delivery/notice.ts'
import type { Alert } from '../../../replication/monitor/sample.ts'
import { temporaryFolder, until } from '../../support/api.ts'
import { startReceiver } from './receiver.ts'

const alert: Alert = {
  id: 'look/SLOT_LOST/primary',
  code: 'SLOT_LOST',
  side: 'primary',
  severity: 'error',
  table: null,
  message: 'the slot is lost & <gone>',
  fix: 'ops reseed',
  since: '2026-01-02T03:00:00.000Z',
  until: null,
}
const notice: Notice = { kind: 'raised', alert }

t.test('a notice says what, since when and what to do, and how long it lasted', async (t) => {
  const raised = describeNotice(notice)
  t.match(raised, /^✗ Homeport, primary: the slot is lost/)
  t.match(raised, /Since: 2026-01-02T03:00:00.000Z\nTo do: ops reseed$/)
  t.match(describeNotice({ kind: 'worse', alert }), /now an error/)
  const over = { ...alert, table: 'sources', until: '2026-01-02T03:04:10.000Z' }
  t.match(
    describeNotice({ kind: 'over', alert: over }),
    /^✓ Homeport, primary, sources: over after 4 min 10 s: /,
  )
  t.match(describeNotice(testNotice(new Date())), /test alert/)
})

t.test(
  'a webhook gets JSON with a text; every other answer than 2xx is a failure without the address',
  async (t) => {
    const receiver = await startReceiver(t)
    await webhookWay(receiver.url('/secret')).deliver(notice)
    t.match(receiver.requests, [{ method: 'POST', path: '/secret', type: 'application/json' }])
    const body = JSON.parse(receiver.requests[0]?.body ?? '') as Notice & { text: string }
    t.match(body, { kind: 'raised', alert: { code: 'SLOT_LOST' } })
    t.match(body.text, /lost &amp; &lt;gone&gt;/, 'as Slack wants it')
    receiver.status = 500
    const failure = await webhookWay(receiver.url('/secret')).deliver(notice).catch(String)
    t.match(failure, /HTTP 500/)
    t.notMatch(failure, /secret/)
    receiver.status = 302
    await t.rejects(webhookWay(receiver.url('/secret')).deliver(notice), { code: 'HTTP_FAILED' })
    await receiver.close()
    const gone = await webhookWay(receiver.url('/secret')).deliver(notice).catch(String)
    t.match(gone, /the request failed: [A-Z_]+$/)
    t.notMatch(gone, /secret/)
  },
)

t.test('a ping is a GET', async (t) => {
  const receiver = await startReceiver(t)
  await ping(receiver.url('/check'))
  t.match(receiver.requests, [{ method: 'GET', path: '/check', body: '' }])
  receiver.status = 404
  await t.rejects(ping(receiver.url('/check')), { message: /HTTP 404/ })
})

/** Words that run a script of node's in a process. */
function script(text: string, ...args: string[]): string[] {
  return [process.execPath, '-e', text, ...args]
}

t.test('a command gets the alert on stdin and in its environment, and no shell', async (t) => {
  const file = join(temporaryFolder(t), 'told')
  const copy = `
    const { readFileSync, writeFileSync } = require('node:fs')
    const { HOMEPORT_ALERT_CODE, HOMEPORT_ALERT_KIND, LOCAL_DATABASE_URL } = process.env
    const told = JSON.parse(readFileSync(0, 'utf8'))
    const said = { HOMEPORT_ALERT_CODE, HOMEPORT_ALERT_KIND, LOCAL_DATABASE_URL, told, argument: process.argv[2] }
    writeFileSync(process.argv[1], JSON.stringify(said))`
  process.env['LOCAL_DATABASE_URL'] = 'postgres://secret'
  t.teardown(() => delete process.env['LOCAL_DATABASE_URL'])
  await commandWay({ words: script(copy, file, '$(id); *') }).deliver(notice)
  t.match(JSON.parse(readFileSync(file, 'utf8')), {
    HOMEPORT_ALERT_CODE: 'SLOT_LOST',
    HOMEPORT_ALERT_KIND: 'raised',
    LOCAL_DATABASE_URL: undefined,
    told: { alert: { code: 'SLOT_LOST' } },
    argument: '$(id); *',
  })
  const failures: [string[], RegExp][] = [
    [['/no/such/program'], /cannot be started: ENOENT/],
    [script('process.exit(3)'), /exits with 3/],
  ]
  for (const [words, message] of failures) {
    await t.rejects(commandWay({ words }).deliver(notice), { code: 'COMMAND_FAILED', message })
  }
})

t.test('a command that hangs is killed, and what it has started as well', async (t) => {
  const file = join(temporaryFolder(t), 'pid')
  const hang = `
    const child = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => 0, 1000)'])
    require('node:fs').writeFileSync(process.argv[1], String(child.pid))
    setInterval(() => 0, 1000)`
  const ended = commandWay({ words: script(hang, file), timeoutMs: 3000 }).deliver(notice)
  ended.catch(() => undefined)
  await until(async () => existsSync(file), Boolean, 20_000)
  await t.rejects(ended, { message: /was killed after 3 s/ })
  const pid = Number(readFileSync(file, 'utf8'))
  t.ok(await until(async () => isGone(pid), Boolean, 10_000))
})

function isGone(pid: number): boolean {
  try {
    // Nobody may have fetched its exit code yet: then it is there, and does nothing.
    return /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return true
  }
}

function courierTo(
  t: Test,
  deliver: (notice: Notice) => Promise<void>,
): { courier: Courier; failures: string[] } {
  const failures: string[] = []
  const courier = new Courier({
    way: { name: 'webhook', deliver },
    onFailure: (message) => failures.push(message),
    baseMs: 5,
    maxMs: 20,
  })
  t.teardown(() => courier.close(0))
  return { courier, failures }
}

t.test(
  'a courier delivers in order, tries again until it arrives, and says once that it fails',
  async (t) => {
    let isDown = true
    const arrived: string[] = []
    const { courier, failures } = courierTo(t, async ({ kind }) => {
      if (isDown) throw new Error('not now')
      arrived.push(kind)
    })
    courier.send(notice)
    courier.send({ kind: 'over', alert })
    await until(
      async () => courier.failure,
      (failure) => failure !== null,
      10_000,
    )
    t.equal(courier.failure, 'not now')
    isDown = false
    await until(
      async () => arrived.length,
      (count) => count === 2,
      10_000,
    )
    t.strictSame(arrived, ['raised', 'over'])
    t.equal(await courier.close(5000), 0)
    t.equal(courier.failure, null)
    t.strictSame(failures, ['not now'])
  },
)

t.test('the end waits a moment for what is on its way, and gives up the rest', async (t) => {
  const slow = courierTo(t, () => delay(300))
  slow.courier.send(notice)
  t.equal(await slow.courier.close(10_000), 0)
  const never = courierTo(t, () => Promise.reject(new Error('down')))
  never.courier.send(notice)
  t.equal(await never.courier.close(50), 1)
})
