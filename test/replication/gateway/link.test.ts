import t from 'tap'
import { formatLsn, parseLsn } from '../../../core/lsn.ts'
import { queryRows } from '../../support/databases.ts'
import { compareRows } from '../../support/oracles/equality.ts'
import { insertSources } from '../relay/apply/fixture.ts'
import { applyWhole, createBothWays, failure } from './link-fixture.ts'

void t.test('through the gateway everything means the same', async (t) => {
  const ways = await createBothWays(t)
  const { primary, cloud, link, direct, slot, lease, systemIdentifier } = ways
  t.same(await link.describe(slot), await direct.describe(slot))
  t.same(await link.readProgress(slot), await direct.readProgress(slot))
  t.equal(await link.readProgress('another'), null)
  await link.renew(lease)
  await insertSources(primary, 1, 2_000)
  await primary.query(`update sources set title = 'other', url = null where id % 7 = 0`)
  await primary.query(`delete from sources where id % 11 = 0`)
  const transactions = await ways.take()
  const batch = ways.batch(transactions, ways.before)
  let bytes = 0
  const applied = await link.apply(batch, { lease, quarantine: false, onBytes: (count) => (bytes += count) })
  t.match(applied, {
    kind: 'applied',
    isNew: true,
    resolved: 0,
    progress: { endLsn: batch.end, sequence: '1' },
  })
  t.ok(bytes > 1_000)
  t.same(await compareRows(primary, cloud), [])

  const stop = {
    state: 'stopped',
    stopCode: 'POISON_ROW',
    stopMessage: 'a row',
    stopHint: 'ops relay',
  } as const
  await link.report(lease, stop)
  const [row] = await queryRows(ways.cloudUrl, 'select state, stop_code from relay_progress')
  t.match(row, { state: 'stopped', stop_code: 'POISON_ROW' })
  const again = await link.acquire({
    slot,
    holder: lease.holder,
    holderName: 'again',
    systemIdentifier,
    timeline: 1,
    leaseSeconds: 60,
  })
  t.match(again, { lease: { epoch: String(BigInt(lease.epoch) + 1n) }, progress: { state: 'following' } })
})

void t.test('what stops the relay comes out as what it is', async (t) => {
  const ways = await createBothWays(t)
  const { primary, cloud, link, direct, slot, systemIdentifier, lease } = ways
  const same = async (
    what: string,
    code: string,
    work: (way: typeof link) => Promise<unknown>,
  ): Promise<void> => {
    const [one, other] = [await failure(work(direct)), await failure(work(link))]
    t.equal(one?.code, code, what)
    t.same(other, one, what)
  }
  const request = { slot, holderName: 'x', systemIdentifier, timeline: 1, leaseSeconds: 60 }
  await same('another holder', 'RELAY_HELD', (way) => way.acquire({ ...request, holder: 'b' }))
  await same('another primary', 'PRIMARY_CHANGED', (way) =>
    way.acquire({ ...request, holder: lease.holder, systemIdentifier: '7' }),
  )
  await same('a slot that is none', 'NOT_SET_UP', (way) =>
    way.acquire({ ...request, slot: 'x', holder: 'a' }),
  )
  const old = { ...lease, epoch: '0' }
  await same('an old epoch', 'RELAY_FENCED', (way) => way.renew(old))
  await insertSources(primary, 1, 3)
  const batch = ways.batch(await ways.take(), ways.before)
  const apply = (way: typeof link, more: object = {}, wanted = batch): Promise<unknown> =>
    way.apply(wanted, { lease, quarantine: false, ...more })
  await same('an old epoch in a batch', 'RELAY_FENCED', (way) => apply(way, { lease: old }))
  const gap = ways.batch([], formatLsn(parseLsn(batch.end) + 8n), {
    end: formatLsn(parseLsn(batch.end) + 16n),
  })
  await same('a gap', 'RELAY_GAP', (way) => apply(way, {}, gap))
  await insertSources(cloud, 2, 2)
  await same('a foreign row', 'DUPLICATE_KEY', (way) => apply(way))
  await cloud.query('delete from sources')
  await cloud.query(`alter table sources add constraint no_three check (id <> 3)`)
  await same('a row that is refused', 'POISON_ROW', (way) => apply(way))
  await cloud.query(`alter table sources drop constraint no_three, add column more text not null`)
  await same('another table', 'SCHEMA_MISMATCH', (way) => apply(way))
  await cloud.query(`alter table sources drop column more`)
  t.match(await apply(link), { kind: 'applied', isNew: true, rows: 3 }, 'and afterwards it works')
})

void t.test('the same batch twice, by both ways, in any order, takes effect once', async (t) => {
  const ways = await createBothWays(t)
  const { primary, cloud, link, direct, lease } = ways
  const options = { lease, quarantine: false }
  await cloud.query(`create table audit (id bigint)`)
  await cloud.query(
    `create function audit() returns trigger language plpgsql as $$ begin insert into audit values (new.id); return null; end $$`,
  )
  await cloud.query(`create trigger audit after insert on sources for each row execute function audit()`)
  await cloud.query(`alter table sources enable always trigger audit`)
  await insertSources(primary, 1, 300)
  const [first, second] = [await ways.take(), ways.before]
  const one = ways.batch(first, second)
  await insertSources(primary, 301, 310)
  const two = ways.batch(await ways.take(), one.end)

  t.equal((await failure(link.apply(two, options)))?.code, 'RELAY_GAP', 'the later one first')
  const outcomes = await Promise.all([
    link.apply(one, options),
    link.apply(one, options),
    direct.apply(one, options),
  ])
  for (const outcome of outcomes) t.match(outcome, { kind: 'applied', progress: { sequence: '1' } })
  t.match(await link.apply(one, options), { isNew: false, rows: 0 })
  t.match(await direct.apply(two, options), { isNew: true, rows: 10 })
  t.match(await link.apply(two, options), { isNew: false })
  t.match(await link.apply(one, options), { isNew: false }, 'an old one late')
  const { rows } = await cloud.query('select id from audit group by id having count(*) <> 1')
  t.same(rows, [])
  t.same(await compareRows(primary, cloud), [])
})

void t.test('rows that the cloud lost are asked for and brought', async (t) => {
  const ways = await createBothWays(t)
  const { primary, cloud, link } = ways
  await insertSources(primary, 1, 2)
  await primary.query(
    `insert into segments (id, source_id, visibility, ordinal, text, turns, engine)
     select s, 1, 'public', s, string_agg(md5((s * n)::text), ''), '[]', 'test'
     from generate_series(1, 20) s, generate_series(1, 500) n group by s`,
  )
  await applyWhole(ways, link, ways.batch(await ways.take(), ways.before))
  await cloud.query(
    'begin; set local session_replication_role = replica; delete from segments where id > 15; commit',
  )
  await primary.query(`update segments set speaker = 'Ann'`)
  const batch = ways.batch(await ways.take(), ways.before)
  t.match(await link.apply(batch, { lease: ways.lease, quarantine: false }), {
    kind: 'needRows',
    requests: [{ table: 'segments', keyColumns: ['id'] }],
  })
  t.match(await applyWhole(ways, link, batch), { isNew: true, rows: 20, resolved: 5 })
  t.same(await compareRows(primary, cloud), [])
})
