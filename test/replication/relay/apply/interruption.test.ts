import t, { type Test } from 'tap'
import pg from 'pg'
import { armFailpoints } from '../../../../core/failpoint.ts'
import { applyBatch } from '../../../../replication/relay/apply/apply-batch.ts'
import { decide } from '../../../../replication/relay/decide.ts'
import { acquireLease } from '../../../../replication/relay/lease.ts'
import { until } from '../../../support/api.ts'
import { queryRows } from '../../../support/databases.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { compareOnce, installOnce } from '../../../support/oracles/once.ts'
import { startTcpProxy, type TcpProxy } from '../../../support/tcp-proxy.ts'
import { createFollowing, endLsn, insertSources, type Following } from './fixture.ts'

t.afterEach(() => armFailpoints(undefined))

const retry = { hasWorked: true }

/** Several runs over several tables, in one batch. */
async function writeSome({ primary }: Following): Promise<void> {
  await insertSources(primary, 1, 500)
  await primary.query('insert into lexicon select n, n from generate_series(1, 500) n')
  await primary.query(`update sources set title = 'new' where id < 300`)
  await primary.query(`delete from sources where id < 100`)
}

function failAt(name: string, action: () => Promise<unknown>): void {
  armFailpoints(async (passed) => {
    if (passed === name) {
      armFailpoints(undefined)
      await action()
    }
  })
}

for (const point of ['relay.mid-batch', 'relay.before-commit']) {
  t.test(`the server ends the session at ${point}: nothing took effect, and then once`, async (t) => {
    const following = await createFollowing(t)
    const { primary, cloud, cloudUrl, slot } = following
    await installOnce(primary, cloud)
    await writeSome(following)
    const batch = following.batch(await following.take(), following.before)
    failAt(point, () =>
      until(
        async () =>
          queryRows(
            cloudUrl,
            `select pg_terminate_backend(l.pid) from pg_locks l join pg_database d on d.oid = l.database
             where d.datname = current_database() and l.relation = 'sources'::regclass and l.pid <> pg_backend_pid()`,
          ),
        (killed) => killed.length > 0,
      ),
    )
    const error: unknown = await following.apply(batch).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    t.equal(decide(error, retry), 'reconnect', String(error))
    t.equal(await endLsn(cloud, slot), following.before)
    t.same(await queryRows(cloudUrl, 'select from oracle_log'), [])
    t.match(await following.apply(batch), { isNew: true })
    t.same(await compareRows(primary, cloud), [])
    t.same(await compareOnce(primary, cloud), [])
  })
}

t.test('failpoints are passed in order, each once, also in small steps', async (t) => {
  const following = await createFollowing(t)
  const { cloud } = following
  const passed: string[] = []
  armFailpoints((name) => void passed.push(name))
  const order = ['relay.before-apply', 'relay.mid-batch', 'relay.before-commit']
  await writeSome(following)
  await following.follow()
  t.same(passed.splice(0), order)
  await insertSources(following.primary, 1000, 1000)
  await following.follow({ side: 'gateway' })
  t.same(passed.splice(0), ['relay.mid-batch', 'gateway.before-commit', 'gateway.after-commit'])
  await cloud.query('delete from lexicon where term = 5')
  await following.primary.query('update lexicon set documents = 7 where term = 5')
  await following.follow()
  t.same([...new Set(passed)], order)
})

t.test('an abort ends it at once', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud, cloudUrl } = following
  await writeSome(following)
  const batch = following.batch(await following.take(), following.before)
  const stop = new AbortController()
  const reason = new Error('the relay ends')
  failAt('relay.mid-batch', async () => stop.abort(reason))
  const rejected = await following.apply(batch, { signal: stop.signal }).catch((thrown: unknown) => thrown)
  t.equal(rejected, reason)
  t.same(await queryRows(cloudUrl, 'select from sources'), [])
  await t.rejects(following.apply(batch, { signal: stop.signal }), reason, 'nor does another begin')
  t.match(await following.apply(batch), { isNew: true })
  t.same(await compareRows(primary, cloud), [])
})

t.test('a connection that falls silent is given up', async (t) => {
  const following = await createFollowing(t)
  const { lease, primary, cloud } = following
  await writeSome(following)
  const batch = following.batch(await following.take(), following.before)
  const { proxy, session } = await connectThroughProxy(t, following)
  failAt('relay.before-commit', async () => proxy.set({ isBlackhole: true }))
  const error: unknown = await applyBatch(session, batch, { lease, quarantine: false, silenceMs: 300 }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  t.match(error, { code: 'ETIMEDOUT' })
  t.equal(decide(error, retry), 'reconnect')
  t.match(await following.apply(batch), { kind: 'applied' })
  t.same(await compareRows(primary, cloud), [])
})

t.test('a COMMIT whose answer is lost took place once', async (t) => {
  const following = await createFollowing(t)
  const { lease, primary, cloud } = following
  await installOnce(primary, cloud)
  await writeSome(following)
  const batch = following.batch(await following.take(), following.before)
  const { proxy, session } = await connectThroughProxy(t, following)
  const lost = proxy.resetWhenAnswered(/COMMIT/)
  const error: unknown = await applyBatch(session, batch, { lease, quarantine: false }).catch(
    (thrown: unknown) => thrown,
  )
  t.equal(decide(error, retry), 'reconnect', String(error))
  await lost
  t.match(await following.apply(batch), { isNew: false, progress: { endLsn: batch.end } })
  t.same(await compareRows(primary, cloud), [])
  t.same(await compareOnce(primary, cloud), [])
})

t.test('a batch costs two round trips, whatever is in it', async (t) => {
  const following = await createFollowing(t)
  const { lease } = following
  const { proxy, session } = await connectThroughProxy(t, following)
  await writeSome(following)
  await following.primary.query('truncate lexicon')
  const batch = following.batch(await following.take(), following.before)
  let answers = ''
  proxy.mangle = (bytes) => {
    answers += bytes.toString('latin1')
    return bytes
  }
  t.match(await applyBatch(session, batch, { lease, quarantine: false }), { isNew: true })
  // eslint-disable-next-line no-control-regex
  t.equal(answers.match(/Z\0\0\0\x05[IT]/g)?.length, 2, 'the server was waited for twice')
})

t.test('a lock that somebody holds is waited for, and not for ever', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud } = following
  await writeSome(following)
  const batch = following.batch(await following.take(), following.before)
  const other = await cloud.connect()
  await other.query('begin; lock table lexicon in exclusive mode')
  const error: unknown = await following
    .apply(batch, { lockTimeoutMs: 100 })
    .catch((thrown: unknown) => thrown)
  t.match(error, { code: '55P03' })
  t.equal(decide(error, retry), 'again')
  await other.query('rollback')
  other.release()
  t.match(await following.apply(batch), { isNew: true })
  t.same(await compareRows(primary, cloud), [])
})

t.test('a batch that cannot be read leaves the session fit for the next', async (t) => {
  const following = await createFollowing(t)
  const { cloudUrl, lease } = following
  await writeSome(following)
  const batch = following.batch(await following.take(), following.before)
  const session = new pg.Client({ connectionString: cloudUrl })
  await session.connect()
  t.teardown(() => session.end())
  const broken = {
    ...batch,
    parts: async function* () {
      for await (const part of batch.parts()) {
        yield { ...part, frames: part.frames.slice(0, -300), header: { ...part.header, isLastPart: false } }
        throw new Error('the spool is damaged')
      }
    },
  }
  await t.rejects(applyBatch(session, broken, { lease, quarantine: false }), {
    message: 'the spool is damaged',
  })
  t.match(await applyBatch(session, batch, { lease, quarantine: false }), { isNew: true })
})

t.test('who takes over waits for the batch, and what the first sends afterwards is refused', async (t) => {
  const following = await createFollowing(t)
  const { primary, cloud, slot, systemIdentifier, lease } = following
  await writeSome(following)
  const all = await following.take()
  const first = following.batch(all.slice(0, 2), following.before)
  let taking: ReturnType<typeof acquireLease> | undefined
  failAt('relay.before-commit', async () => {
    taking = acquireLease(cloud, {
      slot,
      holder: lease.holder,
      holderName: 'the second',
      systemIdentifier,
      timeline: 1,
      leaseSeconds: 60,
    })
  })
  t.match(await following.apply(first), { isNew: true })
  const taken = await taking
  t.equal(taken?.progress.endLsn, first.end, 'it begins where the first one ended')
  const second = following.batch(all.slice(2), first.end)
  await t.rejects(following.apply(second), { code: 'RELAY_FENCED', message: /the second/ })
  t.match(await following.apply(second, { lease: taken!.lease }), { isNew: true })
  t.same(await compareRows(primary, cloud), [])
})

async function connectThroughProxy(
  t: Test,
  { cloudUrl }: Following,
): Promise<{ proxy: TcpProxy; session: pg.Client }> {
  const proxy = await startTcpProxy(t, cloudUrl)
  const session = new pg.Client({ connectionString: proxy.through(cloudUrl) })
  session.on('error', () => undefined)
  await session.connect()
  t.teardown(() => session.end().catch(() => undefined))
  return { proxy, session }
}
