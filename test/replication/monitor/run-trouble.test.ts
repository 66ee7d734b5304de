import t from 'tap'
import { checkReplication } from '../../../replication/monitor/check.ts'
import { webhookWay } from '../../../replication/monitor/delivery/http.ts'
import type { Notice } from '../../../replication/monitor/delivery/notice.ts'
import { MonitorHistory } from '../../../replication/monitor/history.ts'
import type { Alert, MonitorSample } from '../../../replication/monitor/sample.ts'
import { temporaryFolder, until } from '../../support/api.ts'
import { queryRows } from '../../support/databases.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'
import { createReplication } from '../support.ts'
import { startReceiver } from './receiver.ts'
import { quietSample } from './sample-data.ts'
import { watch } from './watching.ts'

const openDisk: Alert = {
  id: 'home/DISK/primary',
  code: 'DISK',
  side: 'primary',
  severity: 'error',
  table: null,
  message: 'the disk is full',
  fix: 'free some of it',
  since: new Date().toISOString(),
  until: null,
}

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

t.test('while the cloud is away its log at home is watched all the more', async (t) => {
  const pair = await createReplication(t)
  const proxy = await startTcpProxy(t, pair.cloudUrl)
  const watching = watch(t, { ...pair, cloudUrl: proxy.through(pair.cloudUrl) }, {})
  await watching.forEvent('verified')
  await watching.forLooks(1)
  proxy.set({ isDown: true })
  proxy.resetAll()
  await watching.forEvent('unreachable')
  const beats = async (): Promise<bigint> => {
    const [row] = await queryRows<{ beat: string }>(pair.primaryUrl, 'select beat from heartbeat')
    return BigInt(row?.beat ?? 0)
  }
  const before = await beats()
  await watching.forLooks(2)
  t.ok((await beats()) > before, 'it beats, so that the lag is right at once when the cloud is back')
  t.match(watching.looks.at(-1)?.sample, {
    unreachable: ['cloud'],
    slot: { name: pair.report.slot, retainedBytes: Number },
    walBytesPerSecond: Number,
    lag: { seconds: null },
  })
  t.strictSame(
    watching.events.filter(({ event }) => event === 'problem').map(({ message }) => message),
    [],
  )

  await pair.cloud.query('alter subscription homeport disable')
  await until(
    () =>
      queryRows(pair.primaryUrl, 'select pg_drop_replication_slot($1)', [pair.report.slot]).catch(() => []),
    (rows) => rows.length === 1,
  )
  await watching.forEvent('problem', /the slot .* of the subscription is gone/)
  t.match(watching.looks.at(-1)?.sample, { unreachable: ['cloud'], slot: null })
})

t.test('one look judges disk and forecast as a monitor does, by what one has seen', async (t) => {
  const pair = await createReplication(t)
  const alone = await checkReplication(pair)
  const { disk, forecast } = alone
  t.equal(forecast, null, 'one look tells no direction')
  if (disk === null) throw new Error('the disk of a server on this machine is known')
  const sampleOf = (agoSeconds: number): MonitorSample =>
    quietSample(new Date(Date.now() - agoSeconds * 1000), {
      slot: {
        name: pair.report.slot,
        active: true,
        walStatus: 'reserved',
        retainedBytes: 0,
        safeWalBytes: null,
      },
      // An hour, and it is full.
      disk: { ...disk, freeBytes: disk.freeBytes * (1 + agoSeconds / 3600) },
    })
  const history = {
    samples: async () => [540, 400, 300, 200, 100, 20].map(sampleOf),
    openAlerts: async () => [],
  }
  const report = await checkReplication({ ...pair, history })
  const wanted = { code: 'SLOT_ENDS_SOON', severity: 'error', message: /^the disk of the slot .* is full in/ }
  t.match(
    report.findings.filter(({ code }) => code === 'SLOT_ENDS_SOON'),
    [wanted],
  )
  t.match(report, { ok: false, forecast: { what: 'the disk of the slot is full' } })
  const unreadable = { ...history, samples: () => Promise.reject(new Error('EACCES')) }
  t.equal((await checkReplication({ ...pair, history: unreadable })).forecast, null)
})

t.test('a ping waits until nothing else is wrong, not until the next comparison', async (t) => {
  const pair = await createReplication(t)
  const receiver = await startReceiver(t)
  const history = await MonitorHistory.open({ folder: temporaryFolder(t) })
  await history.addAlert(openDisk)
  const pingUrl = receiver.url('/ping')
  const watching = watch(t, pair, { history, pingUrl, beatSeconds: 2 })
  await watching.forEvent('verified')
  await watching.forEvent('solved', /the disk is full/)
  const [verified, solved] = ['verified', 'solved'].map((event) =>
    watching.events.findIndex((one) => one.event === event),
  )
  t.ok((verified ?? 0) < (solved ?? 0), 'it was proven while that was open')
  await until(
    async () => receiver.requests.length,
    (count) => count === 1,
  )
})

t.test('a history that cannot be read does not keep it from watching', async (t) => {
  const pair = await createReplication(t)
  const folder = temporaryFolder(t)
  const history = await MonitorHistory.open({ folder })
  await history.addAlert(openDisk)
  const openAlerts = () => Promise.reject(new Error('EIO: i/o error'))
  const broken = {
    openAlerts,
    addSample: (sample: MonitorSample) => history.addSample(sample),
    addAlert: (alert: Alert) => history.addAlert(alert),
    prune: (now: Date) => history.prune(now),
  }
  const watching = watch(t, pair, { history: broken })
  await watching.forEvent('problem', /which alerts were open cannot be read.*EIO/)
  await watching.forEvent('verified')
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
