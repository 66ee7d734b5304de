import t from 'tap'
import { gatewayPaths } from '../../../replication/gateway/protocol.ts'
import { encodePart } from '../../../replication/relay/batch-codec.ts'
import { compareRows } from '../../support/oracles/equality.ts'
import { insertSources } from '../relay/apply/fixture.ts'
import { applyWhole, createBothWays, failure, openLink, stagedParts, type BothWays } from './link-fixture.ts'
import { asBatch, ask, envelope } from './support.ts'

const sourcesThere = async ({ cloud }: BothWays): Promise<number> =>
  (await cloud.query('select from sources')).rowCount ?? 0

/** How often a part or a batch was answered so, by the gateway's own count. */
async function counted({ gateway, key }: BothWays, result: string): Promise<number> {
  const { body } = await ask(`${gateway.url}/metrics`, { key })
  return Number(new RegExp(`batches_total{result="${result}"} (\\d+)`).exec(String(body['text']))?.[1] ?? 0)
}

void t.test('a large transaction comes in parts and takes effect with the last, whole', async (t) => {
  const ways = await createBothWays(t)
  const { primary, cloud, link, lease } = ways
  await insertSources(primary, 1, 900)
  const batch = ways.batch(await ways.take(), ways.before, { framesPerPart: 100 })
  const parts: Buffer[] = []
  for await (const part of batch.parts()) parts.push(encodePart(part))
  t.equal(parts.length, 10)
  const url = ways.gateway.url + gatewayPaths.batches
  const send = (part: number, digests: number[] = [], bytes = parts[part]!) =>
    ask(url, {
      key: ways.key,
      headers: asBatch,
      bytes: envelope(bytes, {
        lease,
        parts: digests.map((one) => parts[one]!.subarray(-32).toString('hex')),
      }),
    })
  // In any order, some twice.
  for (const part of [3, 0, 1, 2, 8, 7, 0, 6, 5]) {
    t.match(await send(part), { status: 202, body: { kind: 'staged', part } })
  }
  const all = [0, 1, 2, 3, 4, 5, 6, 7, 8]
  t.match(await send(9, all), { status: 409, body: { code: 'PARTS_MISSING' } }, 'the fifth has not come')
  await send(4)
  t.match(
    await send(9, [0, 1, 2, 3, 5, 4, 6, 7, 8]),
    { status: 409, body: { code: 'PARTS_MISSING' } },
    'another order',
  )
  t.match(
    await send(9, all.slice(1)),
    { status: 400, body: { code: 'ENVELOPE_INVALID' } },
    'fewer than there were',
  )
  t.equal(await stagedParts(ways), 9)
  t.equal(await sourcesThere(ways), 0, 'nothing is there before the last')
  t.match(await send(9, all), { status: 200, body: { kind: 'applied', isNew: true, rows: 900 } })
  t.same(await compareRows(primary, cloud), [])
  t.equal(await stagedParts(ways), 0)
  for (const part of [0, 5, 9]) {
    const again = await send(part, part === 9 ? all : [])
    t.match(
      again,
      { status: 200, body: { kind: 'applied', isNew: false } },
      'what is there already is not kept again',
    )
  }
  t.equal(await stagedParts(ways), 0)
  t.match(await link.apply(batch, { lease, quarantine: false }), { isNew: false })
})

void t.test('a part that was cut otherwise before is not mixed in', async (t) => {
  const ways = await createBothWays(t)
  const { primary, cloud, lease } = ways
  await insertSources(primary, 1, 300)
  const transactions = await ways.take()
  const url = ways.gateway.url + gatewayPaths.batches
  // The first time it was cut every 40 frames, and broke off.
  for await (const part of ways.batch(transactions, ways.before, { framesPerPart: 40 }).parts()) {
    if (part.header.isLastPart) break
    await ask(url, { key: ways.key, headers: asBatch, bytes: envelope(encodePart(part), { lease }) })
  }
  t.equal(await stagedParts(ways), 7)
  const other = ways.batch(transactions, ways.before, { framesPerPart: 70 })
  t.match(await applyWhole(ways, ways.link, other), { isNew: true, rows: 300 })
  t.same(await compareRows(primary, cloud), [])
  t.equal(await stagedParts(ways), 0)
})

void t.test('what is there of a transaction is not sent again, and what is lost is', async (t) => {
  const ways = await createBothWays(t)
  const { primary, cloud, link, lease } = ways
  await insertSources(primary, 1, 2)
  await primary.query(
    `insert into segments (id, source_id, visibility, ordinal, text, turns, engine)
     select s, 1, 'public', s, string_agg(md5((s * n)::text), ''), '[]', 'test'
     from generate_series(1, 60) s, generate_series(1, 500) n group by s`,
  )
  await applyWhole(ways, link, ways.batch(await ways.take(), ways.before))
  await cloud.query(
    'begin; set local session_replication_role = replica; delete from segments where id = 33; commit',
  )
  await primary.query(`update segments set speaker = 'Ann'`)
  const batch = ways.batch(await ways.take(), ways.before, { framesPerPart: 10 })
  const before = await counted(ways, 'staged')
  const needed = await link.apply(batch, { lease, quarantine: false })
  t.equal(needed.kind, 'needRows')
  const sent = (await counted(ways, 'staged')) - before
  t.ok(sent >= 6)
  t.equal(await stagedParts(ways), sent, 'they wait for the rows')
  t.match(await applyWhole(ways, link, batch), { isNew: true, resolved: 1 })
  t.equal((await counted(ways, 'staged')) - before, sent, 'none came twice')

  await primary.query(`update segments set speaker = 'Ben'`)
  const next = ways.batch(await ways.take(), batch.end, { framesPerPart: 10 })
  await cloud.query('alter table segments add constraint nobody check (speaker <> $$Ben$$) not valid')
  t.equal((await failure(link.apply(next, { lease, quarantine: false })))?.code, 'POISON_ROW')
  await cloud.query('alter table segments drop constraint nobody')
  await cloud.query('delete from relay_parts')
  t.match(await link.apply(next, { lease, quarantine: false }), { isNew: true })
  t.same(await compareRows(primary, cloud), [])
})

void t.test('parts of a relay that was taken over from are of no use', async (t) => {
  const ways = await createBothWays(t)
  const { primary, cloud, lease, slot, systemIdentifier } = ways
  await insertSources(primary, 1, 100)
  const batch = ways.batch(await ways.take(), ways.before, { framesPerPart: 30 })
  const url = ways.gateway.url + gatewayPaths.batches
  for await (const part of batch.parts()) {
    if (part.header.isLastPart) break
    await ask(url, { key: ways.key, headers: asBatch, bytes: envelope(encodePart(part), { lease }) })
  }
  t.ok((await stagedParts(ways)) > 0)
  const taken = await openLink(t, ways.gateway.url, ways.key).acquire({
    slot,
    holder: lease.holder,
    holderName: 'the next',
    systemIdentifier,
    timeline: 1,
    leaseSeconds: 60,
  })
  t.equal(await stagedParts(ways), 0)
  t.equal((await failure(ways.link.apply(batch, { lease, quarantine: false })))?.code, 'RELAY_FENCED')
  t.equal(await stagedParts(ways), 0, 'nor are they kept any more')
  t.match(await ways.link.apply(batch, { lease: taken.lease, quarantine: false }), { isNew: true })
  t.same(await compareRows(primary, cloud), [])
})

void t.test('what takes longer than a request may goes on by itself', async (t) => {
  const ways = await createBothWays(t, { answerWithinMs: 50 })
  const { primary, cloud, link, lease } = ways
  await insertSources(primary, 1, 50)
  const batch = ways.batch(await ways.take(), ways.before)
  const blocker = await cloud.connect()
  await blocker.query('begin')
  await blocker.query('lock table sources in access exclusive mode')
  const applying = link.apply(batch, { lease, quarantine: false })
  const impatient = openLink(t, ways.gateway.url, ways.key)
  const gone = impatient.apply(batch, { lease, quarantine: false }).catch((error: unknown) => error)
  while ((await counted(ways, 'working')) < 5) await new Promise((resolve) => setTimeout(resolve, 20))
  await impatient.close()
  t.match(await gone, { code: 'GATEWAY_UNREACHABLE' })
  await blocker.query('commit')
  blocker.release()
  t.match(await applying, { kind: 'applied', isNew: true, rows: 50 })
  t.same(await compareRows(primary, cloud), [])
})
