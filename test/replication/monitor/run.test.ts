import t from 'tap'
import { createPool } from '../../../core/db.ts'
import { checkReplication } from '../../../replication/monitor/check.ts'
import { webhookWay } from '../../../replication/monitor/delivery/http.ts'
import { MonitorHistory } from '../../../replication/monitor/history.ts'
import {
  ContentVerifier,
  findReplicationUrl,
  verifyContent,
} from '../../../replication/monitor/verification.ts'
import { temporaryFolder, until } from '../../support/api.ts'
import { queryRows, uniqueName } from '../../support/databases.ts'
import { startTransactionPooler } from '../../support/transaction-pooler.ts'
import { createReplication, plant, withRole } from '../support.ts'
import { startReceiver } from './receiver.ts'
import { noticesOf, watch } from './watching.ts'

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

t.test('staying, it compares every row first and once a day, else what may have changed', async (t) => {
  const pair = await createReplication(t)
  let nowMs = Date.now()
  const verifier = new ContentVerifier(pair, () => nowMs)
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
  await plant(pair.cloud, 'delete from lexicon')
  t.match(await verifier.verify(signal), { comparedRows: Number })
  nowMs += 86_400_000
  t.match(await verifier.verify(signal), { comparedRows: null }, 'also where the machine slept')
  t.match(await verifier.verify(signal), { comparedRows: Number })
  nowMs -= 3_600_000
  t.match(await verifier.verify(signal), { comparedRows: null }, 'a clock that was set back')
})
