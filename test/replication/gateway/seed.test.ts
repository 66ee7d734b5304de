import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { gzipSync } from 'node:zlib'
import { to as copyTo } from 'pg-copy-streams'
import t from 'tap'
import type pg from 'pg'
import { encodeEnvelopeHead, gatewayPaths, mediaTypes } from '../../../replication/gateway/protocol.ts'
import type { CloudLink, SeedRange } from '../../../replication/relay/cloud-link.ts'
import { compareRows } from '../../support/oracles/equality.ts'
import { insertSources } from '../relay/apply/fixture.ts'
import { createBothWays, failure, type BothWays } from './link-fixture.ts'
import { sendRaw } from './support.ts'

const columns = [
  'id',
  'kind',
  'title',
  'visibility',
  'transcript_method',
  'processed_at',
  'url',
  'change_seq',
]

/** A binary COPY of some sources, whole, in memory. */
async function copied(primary: pg.Pool, condition: string): Promise<Buffer> {
  const session = await primary.connect()
  try {
    const source = session.query(
      copyTo(`copy (select ${columns.join(', ')} from sources where ${condition}) to stdout (format binary)`),
    )
    const chunks: Buffer[] = []
    await pipeline(source, async (rows: AsyncIterable<Buffer>) => {
      for await (const chunk of rows) chunks.push(chunk)
    })
    return Buffer.concat(chunks)
  } finally {
    session.release()
  }
}

async function begin(ways: BothWays, link: CloudLink): Promise<SeedRange[]> {
  const { slot, systemIdentifier, before } = ways
  await ways.cloud.query('delete from relay_progress')
  await link.seed.begin({
    progress: { slot, systemIdentifier, timeline: 1, commitLsn: before, endLsn: before },
    ranges: [
      { table: 'sources', number: 0, from: null, to: ['500'] },
      { table: 'sources', number: 1, from: ['500'], to: null },
    ],
    empty: ['lexicon'],
  })
  return link.seed.ranges(slot)
}

void t.test('the first copy goes through the gateway, range by range', async (t) => {
  const ways = await createBothWays(t)
  const { primary, cloud, link, direct, slot, lease } = ways
  await insertSources(primary, 1, 1_000)
  await ways.take()
  const ranges = await begin(ways, link)
  t.same(ranges, await direct.seed.ranges(slot))
  t.match(ranges, [{ table: 'sources', number: 0, snapshotLsn: null }, { from: ['500'] }])
  const [first, second] = ranges as [SeedRange, SeedRange]
  const copy = (range: SeedRange, rows: Buffer | Readable): Promise<{ rows: number }> =>
    link.seed.copyRange({
      slot,
      range,
      columns,
      snapshotLsn: ways.before,
      rows: Buffer.isBuffer(rows) ? Readable.from([rows]) : rows,
    })
  const [low, high] = [await copied(primary, 'id <= 500'), await copied(primary, 'id > 500')]

  const broken = Readable.from(
    (async function* () {
      yield low.subarray(0, 20_000)
      throw Object.assign(new Error('home is gone'), { code: '57P01' })
    })(),
  )
  t.match(await failure(copy(first, broken)), { code: '57P01' }, 'what broke at home is said as it was')
  t.equal((await cloud.query('select from sources')).rowCount, 0)
  t.match(await failure(copy(first, Buffer.from('no copy at all'))), { code: '22P04' })
  t.equal((await failure(link.seed.finish(slot)))?.code, 'SEED_UNFINISHED')
  t.equal(
    (await failure(link.apply(ways.batch([], ways.before), { lease, quarantine: false })))?.code,
    (await failure(direct.apply(ways.batch([], ways.before), { lease, quarantine: false })))?.code,
    'no batch is taken meanwhile',
  )

  await cutEverywhere(ways, first, low)
  t.equal((await cloud.query('select from sources')).rowCount, 0, 'what was cut off left nothing')
  t.match(await link.seed.ranges(slot), [{ rows: null }, { rows: null }])

  t.same(await copy(first, low), { rows: 500 })
  t.same(await copy(first, low), { rows: 500 }, 'a second time nothing is copied')
  t.same(await copy(first, Readable.from(endless())), { rows: 500 }, 'however much would come')
  t.equal((await cloud.query('select from sources')).rowCount, 500)
  const both = await Promise.all([copy(second, high), copy(second, high)])
  t.same(both, [{ rows: 500 }, { rows: 500 }], 'nor when two come at the same time')
  t.match(await link.seed.ranges(slot), [{ rows: '500', snapshotLsn: ways.before }, { rows: '500' }])
  t.match(await link.seed.finish(slot), { state: 'following', endLsn: ways.before })
  t.same(await compareRows(primary, cloud), [])
  t.match(await failure(copy(second, high)), { code: 'SEED_ENDED' }, 'and then it is over')
})

/** Sends the range by hand, and hangs up somewhere in the midst of it. */
async function cutEverywhere(ways: BothWays, range: SeedRange, rows: Buffer): Promise<void> {
  const { table, number, from, to } = range
  const instructions = {
    slot: ways.slot,
    range: { table, number, from, to },
    columns,
    snapshotLsn: ways.before,
  }
  const body = gzipSync(Buffer.concat([encodeEnvelopeHead(instructions), rows]))
  const head = Buffer.from(
    `POST ${gatewayPaths.seedCopy} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ways.key}\r\n` +
      `content-type: ${mediaTypes.copy}\r\ncontent-encoding: gzip\r\ncontent-length: ${body.length}\r\n\r\n`,
  )
  for (const share of [0.02, 0.3, 0.7, 0.99, 1]) {
    const cut = Math.min(body.length - 1, Math.floor(body.length * share))
    await sendRaw(ways.gateway.url, Buffer.concat([head, body.subarray(0, cut)]), true)
  }
}

function* endless(): Generator<Buffer> {
  const piece = Buffer.alloc(64 * 1024, 1)
  for (let count = 0; count < 1_000; count++) yield piece
}
