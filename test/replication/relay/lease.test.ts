import pg from 'pg'
import t from 'tap'
import { createPool } from '../../../core/db.ts'
import type { LeaseRequest } from '../../../replication/relay/cloud-link.ts'
import {
  acquireLease,
  describeCloud,
  readProgress,
  renewLease,
  reportState,
} from '../../../replication/relay/lease.ts'
import { createDatabase, queryRows } from '../../support/databases.ts'
import { createFollowing, insertSources, type Following } from './apply/fixture.ts'

function requestOf(
  { slot, systemIdentifier, lease }: Following,
  more: Partial<LeaseRequest> = {},
): LeaseRequest {
  const { holder } = lease
  return { slot, holder, holderName: 'home 12', systemIdentifier, timeline: 1, leaseSeconds: 60, ...more }
}

const report = { state: 'following', stopCode: null, stopMessage: null, stopHint: null } as const
const stopped = { state: 'stopped', stopCode: 'X', stopMessage: 'why', stopHint: 'what' } as const

t.test('a second relay waits its turn, and the first is out once it had it', async (t) => {
  const following = await createFollowing(t)
  const { cloud, lease } = following
  const second = requestOf(following, { holder: 'b', holderName: 'elsewhere 7' })
  await t.rejects(acquireLease(cloud, second), {
    code: 'RELAY_HELD',
    message: /^another relay \(a test\) reads slot .* since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/,
    exitCode: 1,
  })
  await renewLease(cloud, lease)
  await queryRows(following.cloudUrl, `update relay_progress set holder_until = now() - interval '1 second'`)
  await renewLease(cloud, lease)
  await t.rejects(acquireLease(cloud, second), { code: 'RELAY_HELD' }, 'renewing holds it again')
  await queryRows(following.cloudUrl, `update relay_progress set holder_until = now() - interval '1 second'`)
  const taken = await acquireLease(cloud, second)
  t.equal(Number(taken.lease.epoch), Number(lease.epoch) + 1)
  await t.rejects(renewLease(cloud, lease), { code: 'RELAY_FENCED', message: /elsewhere 7/ })
  await t.rejects(reportState(cloud, lease, report), { code: 'RELAY_FENCED' })
  await insertSources(following.primary, 1, 3)
  await t.rejects(following.follow(), { code: 'RELAY_FENCED' })
})

t.test('the same relay started again goes on at once, and its predecessor cannot', async (t) => {
  const following = await createFollowing(t)
  const { cloud, lease } = following
  const again = await acquireLease(cloud, requestOf(following))
  t.equal(again.lease.holder, lease.holder)
  await t.rejects(renewLease(cloud, lease), { code: 'RELAY_FENCED' })
  await renewLease(cloud, again.lease)
})

t.test('a batch whose connection the network forgot keeps nobody out', async (t) => {
  const following = await createFollowing(t)
  const { cloud, cloudUrl, lease, slot } = following
  const forgotten = new pg.Client({
    connectionString: cloudUrl,
    application_name: `homeport relay applies ${slot}`,
  })
  let ended = ''
  forgotten.on('error', (error) => (ended += error.message))
  await forgotten.connect()
  await forgotten.query('begin')
  await forgotten.query('select from relay_progress for update')
  await renewLease(cloud, lease)
  await t.rejects(acquireLease(cloud, requestOf(following, { holder: 'b' })), { code: 'RELAY_HELD' })
  const { lease: next } = await acquireLease(cloud, requestOf(following))
  t.equal(Number(next.epoch), Number(lease.epoch) + 1)
  t.match(ended, /terminat/)
})

t.test('of many who ask at once one gets it', async (t) => {
  const following = await createFollowing(t)
  const { cloud, cloudUrl } = following
  await queryRows(cloudUrl, 'update relay_progress set holder = null, holder_until = null')
  const asked = Array.from({ length: 8 }, (_, n) =>
    acquireLease(cloud, requestOf(following, { holder: `holder ${n}` })),
  )
  const outcomes = await Promise.allSettled(asked)
  t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
})

t.test('a batch extends the lease', async (t) => {
  const following = await createFollowing(t)
  const { cloudUrl, primary } = following
  await queryRows(cloudUrl, `update relay_progress set holder_until = now() - interval '1 second'`)
  await insertSources(primary, 1, 3)
  await following.follow()
  const rows = await queryRows<{ held: boolean }>(
    cloudUrl,
    `select holder_until > now() + interval '30 seconds' as held from relay_progress`,
  )
  t.same(rows, [{ held: true }])
})

t.test('only the primary that the cloud follows gets it', async (t) => {
  const following = await createFollowing(t)
  const { cloud } = following
  for (const other of [{ systemIdentifier: '1' }, { timeline: 2 }]) {
    await t.rejects(acquireLease(cloud, requestOf(following, other)), { code: 'PRIMARY_CHANGED' })
  }
  await t.rejects(acquireLease(cloud, requestOf(following, { slot: 'none' })), { code: 'NOT_SET_UP' })
  await t.rejects(renewLease(cloud, { ...following.lease, slot: 'none' }), { code: 'NOT_SET_UP' })
})

t.test(
  'a relay that stops lets go, says why, and takes no more batches until it is started again',
  async (t) => {
    const following = await createFollowing(t)
    const { cloud, lease, slot, primary } = following
    await reportState(cloud, lease, stopped)
    t.match(await readProgress(cloud, slot), { state: 'stopped' })
    await insertSources(primary, 1, 3)
    const batch = following.batch(await following.take(), following.before)
    await t.rejects(following.apply(batch), { code: 'RELAY_STOPPED' })
    const next = await acquireLease(cloud, requestOf(following, { holder: 'b' }))
    t.equal(next.progress.state, 'following')
    t.match(await following.apply(batch, { lease: next.lease }), { isNew: true })
  },
)

t.test('nothing but the end of the copy ends the copy', async (t) => {
  const following = await createFollowing(t)
  const { cloud, lease, slot, cloudUrl, primary } = following
  await queryRows(cloudUrl, `update relay_progress set state = 'seeding'`)
  for (const state of [report, stopped]) {
    await reportState(cloud, lease, state)
    t.match(await readProgress(cloud, slot), { state: 'seeding' })
  }
  const again = await acquireLease(cloud, requestOf(following))
  t.equal(again.progress.state, 'seeding')
  await insertSources(primary, 1, 3)
  await t.rejects(following.follow({ lease: again.lease }), { code: 'SEED_UNFINISHED' })
})

t.test('the cloud describes itself', async (t) => {
  const following = await createFollowing(t)
  const { cloud, slot } = following
  const described = await describeCloud(cloud, slot)
  t.match(described, {
    synchronousCommit: 'on',
    isReadOnly: false,
    hasSession: true,
    progress: { slot, state: 'following', timeline: 1 },
  })
  const lexicon = described.tables.find(({ name }) => name === 'lexicon')
  t.same(lexicon?.columns[0], {
    name: 'term',
    type: 'integer',
    notNull: true,
    hasDefault: false,
    generated: false,
  })
  const tombstone = described.tables.find(({ name }) => name === 'tombstones')
  t.match(tombstone?.columns[0], { type: 'bigint', notNull: true, hasDefault: true })
  t.equal((await describeCloud(cloud, 'none')).progress, null)
})

t.test('a database that nobody migrated is described too', async (t) => {
  const url = await createDatabase(t, 'cloud', { migrate: false })
  const pool = createPool({ connectionString: url, applicationName: 'homeport test' })
  t.teardown(() => pool.end())
  t.match(await describeCloud(pool, 'any'), { tables: [], progress: null })
})
