import t, { type Test } from 'tap'
import { createLog } from '../../../core/log.ts'
import type { CloudLink, SeedLink } from '../../../replication/relay/cloud-link.ts'
import { decide } from '../../../replication/relay/decide.ts'
import { openDirectLink } from '../../../replication/relay/direct-link.ts'
import { queryRows } from '../../support/databases.ts'
import { compareRows } from '../../support/oracles/equality.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'
import { startTransactionPooler } from '../../support/transaction-pooler.ts'
import { createFollowing, insertSources } from './apply/fixture.ts'

const log = createLog({ name: 'test', level: 'silent' })

function open(t: Test, connectionString: string): CloudLink {
  const link = openDirectLink({
    connectionString,
    seed: () => ({}) as SeedLink,
    log,
    connectTimeoutMs: 1_000,
  })
  t.teardown(() => link.close())
  return link
}

t.test('a link carries batches and keeps its session for the next', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud, cloudUrl, slot, systemIdentifier } = following
  const proxy = await startTcpProxy(t, cloudUrl)
  const link = open(t, proxy.through(cloudUrl))
  t.equal(link.name, 'direct')
  t.match(await link.describe(slot), { progress: { slot } })
  const { lease, progress } = await link.acquire({
    slot,
    holder: following.lease.holder,
    holderName: 'x',
    systemIdentifier,
    timeline: 1,
    leaseSeconds: 60,
  })
  await link.renew(lease)
  let after = progress.endLsn
  const before = proxy.accepted
  let bytes = 0
  for (let id = 1; id <= 50; id += 10) {
    await insertSources(primary, id, id + 9)
    const batch = following.batch(await following.take(), after)
    const onBytes = (count: number): void => void (bytes += count)
    t.match(await link.apply(batch, { lease, quarantine: false, onBytes }), { isNew: true, rows: 10 })
    after = batch.end
  }
  t.equal(proxy.accepted, before + 1, 'one session for all of them')
  t.ok(bytes > 50 * 20 && bytes < proxy.toServer, `${bytes} bytes`)
  t.match(await link.readProgress(slot), { endLsn: after, sequence: '5' })
  t.same(await compareRows(primary, cloud), [])
  await link.report(lease, { state: 'stopped', stopCode: 'X', stopMessage: 'y', stopHint: null })
  await link.close()
  await link.close()
})

t.test('a session that broke is not used again', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud, cloudUrl, lease } = following
  const link = open(t, cloudUrl)
  const options = { lease, quarantine: false }
  await insertSources(primary, 1, 10)
  const first = following.batch(await following.take(), following.before)
  await link.apply(first, options)
  await queryRows(
    cloudUrl,
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'homeport relay' and datname = current_database()`,
  )
  await insertSources(primary, 11, 20)
  const second = following.batch(await following.take(), first.end)
  const outcome = await link.apply(second, options).catch((error: unknown) => error)
  if (outcome instanceof Error) t.equal(decide(outcome, { hasWorked: true }), 'reconnect')
  t.match(await link.apply(second, options), { kind: 'applied' })
  t.same(await compareRows(primary, cloud), [])
})

t.test('a stop of one batch leaves the session for the next', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloudUrl, lease } = following
  const proxy = await startTcpProxy(t, cloudUrl)
  const link = open(t, proxy.through(cloudUrl))
  await insertSources(primary, 1, 10)
  const batch = following.batch(await following.take(), following.before)
  const wrong = { lease: { ...lease, epoch: '0' }, quarantine: false }
  await t.rejects(link.apply(batch, wrong), { code: 'RELAY_FENCED' })
  t.match(await link.apply(batch, { lease, quarantine: false }), { isNew: true })
  t.equal(proxy.accepted, 1)
})

t.test('a pooler in between is recognised, and no batch minds it', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud, cloudUrl, slot, lease } = following
  const pooler = await startTransactionPooler(t, cloudUrl)
  const link = open(t, pooler.through(cloudUrl))
  t.match(await link.describe(slot), { hasSession: false })
  let after = following.before
  for (let id = 1; id <= 90; id += 30) {
    await insertSources(primary, id, id + 29)
    await primary.query(`update sources set title = 'new' where id % 7 = 0`)
    const batch = following.batch(await following.take(), after)
    t.match(await link.apply(batch, { lease, quarantine: false }), { isNew: true })
    after = batch.end
  }
  t.same(await compareRows(primary, cloud), [])
})

t.test('a cloud that cannot be reached is told from one that refuses', async (t) => {
  const following = await createFollowing(t)
  const { cloudUrl, slot, lease } = following
  const proxy = await startTcpProxy(t, cloudUrl)
  const away = open(t, proxy.through(cloudUrl))
  proxy.set({ isDown: true })
  for (const attempt of [
    away.describe(slot),
    away.apply(following.batch([], '0/1'), { lease, quarantine: false }),
  ]) {
    const error: unknown = await attempt.catch((thrown: unknown) => thrown)
    t.match(error, { code: 'DATABASE_UNREACHABLE' })
    t.equal(decide(error, { hasWorked: false }), 'reconnect')
  }
  const wrong = new URL(cloudUrl)
  wrong.password = 'wrong'
  const error: unknown = await open(t, wrong.href)
    .describe(slot)
    .catch((thrown: unknown) => thrown)
  t.match(error, { code: 'DATABASE_UNREACHABLE', message: /password/ })
  t.equal(decide(error, { hasWorked: false }), 'stop')
})
