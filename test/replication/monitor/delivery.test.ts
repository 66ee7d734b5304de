import t, { type Test } from 'tap'
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { commandWay } from '../../../replication/monitor/delivery/command.ts'
import { Courier } from '../../../replication/monitor/delivery/courier.ts'
import { ping, retryAfterMs, webhookWay } from '../../../replication/monitor/delivery/http.ts'
import {
  describeNotice,
  lastedMs,
  testNotice,
  TryLater,
  type Notice,
} from '../../../replication/monitor/delivery/notice.ts'
import { afterNotices, Outbox } from '../../../replication/monitor/delivery/outbox.ts'
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
  t.equal(lastedMs({ since: over.until, until: over.since }), 0, 'a clock that went back')
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
    const moved = { code: 'HTTP_FAILED', message: /HTTP 302, and leads elsewhere/ }
    await t.rejects(webhookWay(receiver.url('/secret')).deliver(notice), moved)
    t.notOk(
      receiver.requests.some(({ path }) => path === '/elsewhere'),
      'nobody else is told',
    )
    Object.assign(receiver, { status: 429, retryAfter: '7' })
    await t.rejects(webhookWay(receiver.url('/secret')).deliver(notice), {
      afterMs: 7000,
      message: /HTTP 429/,
    })
    await receiver.close()
    const gone = await webhookWay(receiver.url('/secret')).deliver(notice).catch(String)
    t.match(gone, /the request failed: [A-Z_]+$/)
    t.notMatch(gone, /secret/)
  },
)

t.test('when to come again, as a server writes it', async (t) => {
  const now = Date.parse('2026-01-02T03:04:05Z')
  const cases: [string | null, number | null][] = [
    [null, null],
    ['30', 30_000],
    ['Fri, 02 Jan 2026 03:04:15 GMT', 10_000],
    ['Fri, 02 Jan 2026 03:04:00 GMT', 0],
    ['soon', null],
  ]
  for (const [header, wanted] of cases) t.equal(retryAfterMs(header, now), wanted, `${header}`)
})

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
    await courier.send(notice)
    await courier.send({ kind: 'over', alert })
    courier.go()
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
  await slow.courier.send(notice)
  slow.courier.go()
  t.equal(await slow.courier.close(10_000), 0)
  const never = courierTo(t, () => Promise.reject(new Error('down')))
  await never.courier.send(notice)
  never.courier.go()
  t.equal(await never.courier.close(50), 1)
})

t.test('a courier comes again when it was asked to, not before', async (t) => {
  const asked: number[] = []
  const { courier } = courierTo(t, async () => {
    asked.push(performance.now())
    if (asked.length === 1) throw new TryLater('it answers HTTP 429', 400)
  })
  await courier.send(notice)
  courier.go()
  await until(
    async () => asked.length,
    (count) => count === 2,
    10_000,
  )
  t.ok((asked[1] ?? 0) - (asked[0] ?? 0) >= 395, 'though the next attempt would be due after 5 ms')
})

t.test('what has not arrived waits on disk, is gone when it has, and is delivered by the next', async (t) => {
  const folder = temporaryFolder(t)
  const arrived: string[] = []
  let isDown = true
  const courierOf = async (): Promise<Courier> => {
    const outbox = await Outbox.open(folder)
    t.equal(outbox.trouble, null)
    const courier = new Courier({
      way: {
        name: 'webhook',
        deliver: async ({ kind }) => {
          if (isDown) throw new Error('not now')
          arrived.push(kind)
        },
      },
      waiting: outbox.waiting('webhook'),
      keep: (waiting) => outbox.keep('webhook', waiting),
      baseMs: 5,
      maxMs: 20,
    })
    t.teardown(() => courier.close(0))
    return courier
  }
  const first = await courierOf()
  await first.send(notice)
  await first.send({ kind: 'over', alert })
  const onDisk = (await Outbox.open(folder)).waiting('webhook')
  t.match(onDisk, [notice, { kind: 'over' }], 'before anything was tried')
  t.equal(statSync(join(folder, 'undelivered.json')).mode & 0o777, 0o600)
  first.go()
  t.equal(await first.close(50), 2)
  isDown = false
  const second = await courierOf()
  second.go()
  t.equal(await second.close(10_000), 0)
  t.strictSame(arrived, ['raised', 'over'])
  t.strictSame((await Outbox.open(folder)).waiting('webhook'), [])
})

t.test('an outbox that is damaged, or cannot be written, is said', async (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'undelivered.json')
  for (const text of ['{"webhook":[{"ki', '7', '{"webhook":[{"kind":"raised"}]}', '{"webhook":{}}']) {
    writeFileSync(file, text)
    const outbox = await Outbox.open(folder)
    t.equal(outbox.trouble, 'it is damaged', text)
    t.equal(readFileSync(`${file}.damaged`, 'utf8'), text, 'it is put aside')
    t.strictSame(outbox.waiting('webhook'), [])
    await outbox.keep('webhook', [notice])
    t.match((await Outbox.open(folder)).waiting('webhook'), [notice])
  }
  const outbox = await Outbox.open(folder)
  symlinkSync('/dev/full', `${file}.writing`)
  await t.rejects(outbox.keep('webhook', []), { code: 'HISTORY_NOT_WRITTEN', message: /that disk is full/ })
  t.match((await Outbox.open(folder)).waiting('webhook'), [notice], 'what was there is still there')
  await outbox.keep('command', [notice])
  t.match((await Outbox.open(folder)).waiting('command'), [notice])
})

t.test('what was on its way is newer than what the history tells', async (t) => {
  const other = { ...alert, id: 'other' }
  const worse = { ...alert, message: 'worse' }
  const open = (known: Alert[], notices: Notice[]): string[] =>
    afterNotices(known, notices).map(({ id }) => id)
  t.strictSame(open([alert], []), [alert.id])
  t.strictSame(open([], [notice]), [alert.id], 'killed before the history knew')
  t.strictSame(open([alert], [notice, { kind: 'worse', alert: worse }]), [alert.id], 'once')
  t.strictSame(open([alert, other], [{ kind: 'over', alert }]), ['other'])
  t.strictSame(open([], [notice, { kind: 'over', alert }]), [])
  const again = { ...alert, since: '2026-01-03T03:00:00.000Z' }
  t.strictSame(open([again], [{ kind: 'over', alert }]), [alert.id], 'the same once more is another one')
})
