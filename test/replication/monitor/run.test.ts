import t, { type Test } from 'tap'
import { createPool } from '../../../core/db.ts'
import { checkReplication } from '../../../replication/monitor/check.ts'
import { webhookWay } from '../../../replication/monitor/delivery/http.ts'
import type { Notice } from '../../../replication/monitor/delivery/notice.ts'
import { MonitorHistory } from '../../../replication/monitor/history.ts'
import { runMonitor, type RunMonitorOptions } from '../../../replication/monitor/run.ts'
import type { Alert, MonitorSample } from '../../../replication/monitor/sample.ts'
import type { MonitorEvent } from '../../../replication/monitor/teller.ts'
import {
  ContentVerifier,
  findReplicationUrl,
  verifyContent,
} from '../../../replication/monitor/verification.ts'
import { temporaryFolder, until } from '../../support/api.ts'
import { queryRows, uniqueName } from '../../support/databases.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'
import { startTransactionPooler } from '../../support/transaction-pooler.ts'
import { createReplication, plant, withRole, type Replication } from '../support.ts'
import { startReceiver, type Receiver } from './receiver.ts'

interface Watching {
  events: MonitorEvent[]
  looks: { sample: MonitorSample; alerts: Alert[] }[]
  /** Waits until so many looks have been made from now on. */
  forLooks(count: number): Promise<void>
  forEvent(event: MonitorEvent['event'], message?: RegExp): Promise<void>
  /** Ends it in order. */
  stop(): Promise<void>
}

/** A monitor in this process, ended at the end of the test. */
function watch(t: Test, pair: Replication, options: Partial<RunMonitorOptions>): Watching {
  const events: MonitorEvent[] = []
  const looks: Watching['looks'] = []
  const ended = new AbortController()
  const running = runMonitor({
    primaryUrl: pair.primaryUrl,
    cloudUrl: pair.cloudUrl,
    signal: ended.signal,
    beatSeconds: 0.2,
    verifySeconds: 3600,
    onEvent: (event) => events.push(event),
    onLook: (look) => looks.push(look),
    ...options,
  })
  running.catch(() => undefined)
  const stop = async (): Promise<void> => {
    ended.abort()
    await running
  }
  t.teardown(() => stop().catch(() => undefined))
  return {
    events,
    looks,
    stop,
    forLooks: async (count) => {
      const wanted = looks.length + count
      await Promise.race([
        until(
          async () => looks.length,
          (now) => now >= wanted,
          60_000,
        ),
        running,
      ])
    },
    forEvent: async (event, message = /./) => {
      const isThere = (): boolean => events.some((one) => one.event === event && message.test(one.message))
      await Promise.race([until(async () => isThere(), Boolean, 60_000), running])
    },
  }
}

function noticesOf(receiver: Receiver, code: string): Notice[] {
  return receiver.requests
    .filter(({ method }) => method === 'POST')
    .map(({ body }) => JSON.parse(body) as Notice)
    .filter(({ alert }) => alert.code === code)
}

t.test('an alert is told once when it begins and once when it is over, also across a restart', async (t) => {
  const pair = await createReplication(t)
  const receiver = await startReceiver(t)
  const history = await MonitorHistory.open({ folder: temporaryFolder(t) })
  const options = {
    history,
    ways: [webhookWay(receiver.url('/hook'))],
    pingUrl: receiver.url('/ping'),
    sampleSeconds: 0,
  }
  const disabled = 'SUBSCRIPTION_DISABLED'
  const first = watch(t, pair, options)
  await first.forEvent('verified', /^11 of 11 tables match/)
  await until(
    async () => receiver.requests.filter(({ path }) => path === '/ping').length,
    (count) => count === 1,
  )
  await first.forLooks(3)
  t.strictSame(noticesOf(receiver, disabled), [])
  t.match(first.looks.at(-1)?.sample, {
    mode: 'native',
    unreachable: [],
    slot: { name: pair.report.slot, active: true },
    lag: { seconds: Number },
    walBytesPerSecond: Number,
  })
  t.equal(first.looks.at(-1)?.sample.tables.length, 11)

  await pair.cloud.query('alter subscription homeport disable')
  await until(
    async () => noticesOf(receiver, disabled).length,
    (count) => count > 0,
  )
  await first.forLooks(5)
  t.match(noticesOf(receiver, disabled), [{ kind: 'raised', alert: { side: 'cloud', until: null } }])
  t.equal(noticesOf(receiver, disabled).length, 1)
  await first.stop()
  t.match(await history.openAlerts(), [{ code: disabled }])

  const second = watch(t, pair, options)
  await second.forLooks(5)
  t.equal(noticesOf(receiver, disabled).length, 1, 'a restart repeats nothing')
  t.match(
    second.looks.at(-1)?.alerts.map(({ code }) => code),
    [disabled],
  )
  await pair.cloud.query('alter subscription homeport enable')
  await second.forEvent('solved', /switched off \(over after/)
  await until(
    async () => noticesOf(receiver, disabled).length,
    (count) => count === 2,
  )
  await second.forLooks(5)
  const told = noticesOf(receiver, disabled)
  t.strictSame(
    told.map(({ kind }) => kind),
    ['raised', 'over'],
  )
  t.equal(told[1]?.alert.since, told[0]?.alert.since)
  t.strictSame(
    (await history.openAlerts()).filter(({ code }) => code === disabled),
    [],
  )
  t.ok((await history.samples({ sinceMs: Date.now() - 60_000, atMost: 1000 })).length > 5)
})

t.test('drift is told at once, and no ping comes while it lasts; mended, it is over', async (t) => {
  const pair = await createReplication(t)
  const receiver = await startReceiver(t)
  await plant(pair.cloud, 'insert into lexicon values (5, 1)')
  const watching = watch(t, pair, {
    ways: [webhookWay(receiver.url('/hook'))],
    pingUrl: receiver.url('/ping'),
    verifySeconds: 1,
  })
  await until(
    async () => noticesOf(receiver, 'DRIFT').length,
    (count) => count > 0,
    60_000,
  )
  await watching.forEvent('verified')
  t.notOk(receiver.requests.some(({ path }) => path === '/ping'))
  await plant(pair.cloud, 'delete from lexicon')
  await watching.forEvent('solved', /lexicon/)
  await until(async () => receiver.requests.some(({ path }) => path === '/ping'), Boolean, 60_000)
  t.match(noticesOf(receiver, 'DRIFT'), [
    { kind: 'raised', alert: { table: 'lexicon', severity: 'error' } },
    { kind: 'over', alert: { table: 'lexicon' } },
  ])
})

t.test('a cloud that is away: said after three looks, and when it answers again', async (t) => {
  const pair = await createReplication(t)
  const proxy = await startTcpProxy(t, pair.cloudUrl)
  const watching = watch(t, { ...pair, cloudUrl: proxy.through(pair.cloudUrl) }, {})
  await watching.forEvent('verified')
  await watching.forLooks(2)
  proxy.set({ isDown: true })
  proxy.resetAll()
  await watching.forEvent('unreachable', /PRODUCTION_DATABASE_URL/)
  t.match(watching.looks.at(-1), { sample: { unreachable: ['cloud'], lag: { bytes: null }, mode: 'native' } })
  t.equal(watching.looks.at(-1)?.sample.tables.length, 11, 'what was proven stays what it was')
  proxy.set()
  await watching.forEvent('reached', /over after/)
  await watching.forLooks(2)
  t.strictSame(watching.looks.at(-1)?.sample.unreachable, [])
  const about = watching.events.filter(({ event }) => event === 'unreachable' || event === 'reached')
  t.strictSame(
    about.map(({ event }) => event),
    ['unreachable', 'reached'],
  )
})

t.test('what cannot be delivered is a finding of its own, and arrives later', async (t) => {
  const pair = await createReplication(t)
  const receiver = await startReceiver(t)
  receiver.status = 503
  await pair.cloud.query('alter subscription homeport disable')
  const watching = watch(t, pair, { ways: [webhookWay(receiver.url('/hook'))] })
  await watching.forEvent('problem', /alerts do not arrive by the webhook: it answers HTTP 503/)
  t.equal(watching.events.filter(({ event }) => event === 'undelivered').length, 1)
  t.notMatch(JSON.stringify(watching.events), '/hook', 'the address is a secret')
  receiver.status = 200
  const delivered = receiver.requests.length
  await watching.forEvent('solved', /alerts do not arrive/)
  const told = receiver.requests.slice(delivered).map(({ body }) => (JSON.parse(body) as Notice).alert.code)
  t.strictSame(told, ['SUBSCRIPTION_DISABLED'], 'and nothing about itself')
})

t.test('schema and versions are part of a look', async (t) => {
  const pair = await createReplication(t)
  await pair.cloud.query('alter table sources add column note text')
  const report = await checkReplication(pair)
  t.match(report.findings, [{ code: 'COLUMN_UNKNOWN', side: 'cloud', severity: 'warning' }])
  t.match(report.versions, { primary: { postgres: /^1\d/, pgvector: /^0\./ }, cloud: { pgvector: /^0\./ } })
  const watching = watch(t, pair, {})
  await watching.forEvent('problem', /sources.*note/)
  t.equal(report.ok, true, 'a column that stays empty stops nothing')
})

t.test('who may replicate is found out; without one the comparison says that it is less exact', async (t) => {
  const pair = await createReplication(t)
  const role = uniqueName('plain')
  await queryRows(pair.primaryUrl, `create role ${role} login password 'x'`)
  t.teardown(() => queryRows(pair.primaryUrl, `drop role ${role}`))
  const plainUrl = withRole(pair.primaryUrl, role, 'x')
  const plain = createPool({ connectionString: plainUrl, applicationName: 'homeport test' })
  t.teardown(() => plain.end())
  const find = (replicationUrl?: string) =>
    findReplicationUrl({
      primary: plain,
      primaryUrl: plainUrl,
      ...(replicationUrl === undefined ? {} : { replicationUrl }),
    })
  t.same(await findReplicationUrl(pair), { url: pair.primaryUrl }, 'the owner may')
  t.match(await find(), { reason: /REPLICATION_DATABASE_URL is not set/ })
  t.same(await find(pair.replicationUrl), { url: pair.replicationUrl })
  t.match(await find(pair.cloudUrl), { reason: /leads to another server/ })
  t.match(await find(plainUrl), { reason: /./ })
  const { primary, cloud } = pair
  const verified = await verifyContent({ primary, cloud, replicationUrl: plainUrl })
  t.match(verified.findings, [{ code: 'VERIFY_LESS_EXACT', severity: 'warning' }])
  t.equal(verified.tables.length, 11)
  t.notMatch(JSON.stringify(verified.findings), `${role}:x`)
  await queryRows(pair.primaryUrl, `alter role ${new URL(pair.replicationUrl).username} noreplication`)
  t.match(await find(pair.replicationUrl), { reason: /does not let the role/ }, 'it is asked each time')
})

t.test('where no slot can be had for it, the comparison goes on without, and says why', async (t) => {
  const pair = await createReplication(t)
  // The owner may replicate; what stands in between passes no replication on.
  const { primary, cloud } = pair
  const pooler = await startTransactionPooler(t, pair.primaryUrl)
  const options = { primary, cloud, primaryUrl: pooler.through(pair.primaryUrl) }
  const wanted = { code: 'VERIFY_LESS_EXACT', message: /connection pooler/, fix: /direct address/ }
  const once = await verifyContent(options)
  t.match(once.findings, [wanted])
  const verifier = new ContentVerifier(options)
  t.teardown(() => verifier.close())
  const staying = await verifier.verify(AbortSignal.timeout(60_000))
  t.match(staying.findings, [wanted])
  for (const { tables } of [once, staying]) t.ok(tables.every(({ verdict }) => verdict === 'match'))
})

t.test('staying, it compares every row first, then what may have changed', async (t) => {
  const pair = await createReplication(t)
  const verifier = new ContentVerifier(pair)
  t.teardown(() => verifier.close())
  const signal = AbortSignal.timeout(60_000)
  t.match(await verifier.verify(signal), { comparedRows: null, findings: [] })
  await plant(pair.cloud, 'insert into lexicon values (5, 1)')
  const { tables } = await verifier.verify(signal)
  t.match(
    tables.filter(({ verdict }) => verdict !== 'match'),
    [
      {
        table: 'lexicon',
        verdict: 'drift',
        moreDifferences: false,
        differences: [{ key: ['5'], kind: 'extra' }],
      },
    ],
  )
})
