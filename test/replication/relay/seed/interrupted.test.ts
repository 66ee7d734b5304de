import t, { type Test } from 'tap'
import { createPool } from '../../../../core/db.ts'
import { directSeed } from '../../../../replication/relay/seed/direct-seed.ts'
import type { RunSeedOptions } from '../../../../replication/relay/seed/run-seed.ts'
import { compareRows } from '../../../support/oracles/equality.ts'
import { startTcpProxy, type TcpProxy } from '../../../support/tcp-proxy.ts'
import { createSeedPair, fillTalks, type SeedPair } from './support.ts'

/** The way to the cloud through a proxy. */
async function cloudThroughProxy(
  t: Test,
  pair: SeedPair,
): Promise<{ proxy: TcpProxy; way: Partial<RunSeedOptions> }> {
  const proxy = await startTcpProxy(t, pair.cloudUrl)
  const pool = createPool({
    connectionString: proxy.through(pair.cloudUrl),
    applicationName: 'homeport test',
    max: 8,
    connectTimeoutMs: 5000,
  })
  t.teardown(() => pool.end())
  return { proxy, way: { cloud: directSeed(pool) } }
}

/** Breaks in after so many ranges, each time once. */
function atRanges(counts: readonly number[], work: () => void): Partial<RunSeedOptions> {
  const left = [...counts]
  return {
    onProgress: ({ rangesCopied }) => {
      if (left[0] !== undefined && rangesCopied >= left[0]) {
        left.shift()
        work()
      }
    },
  }
}

t.test(
  'connections to the cloud that break are taken up again, and no range is lost or there twice',
  async (t) => {
    const pair = await createSeedPair(t)
    await fillTalks(pair.primary, 1, 600)
    const { proxy, way } = await cloudThroughProxy(t, pair)
    proxy.set({ bytesPerSecond: 200_000 })
    const notes: string[] = []
    // The server has committed a range, and nobody hears of it.
    const unknown = proxy.resetWhenSent(/commit\0/, { skip: 5, isDelivered: true })
    const { copy } = await pair.seed({
      ...way,
      ...atRanges([4, 12, 20], () => proxy.resetAll()),
      onNote: (text) => notes.push(text),
    })
    await unknown
    t.strictSame(await compareRows(pair.primary, pair.cloud), [])
    t.equal(copy.rows, 4 * 540 + 1)
    t.ok(notes.length >= 2, 'and it was said')
    t.match(notes[0], /^the copy was interrupted: .*; trying again$/)
  },
)

t.test(
  'connections to the primary that break take the snapshot with them: a later one goes on',
  async (t) => {
    const pair = await createSeedPair(t)
    await fillTalks(pair.primary, 1, 600)
    const proxy = await startTcpProxy(t, pair.primaryUrl)
    proxy.set({ bytesPerSecond: 300_000 })
    const through = proxy.through(pair.primaryUrl)
    await pair.seed({
      primaryUrl: through,
      replicationUrl: through,
      ...atRanges([10], () => {
        proxy.resetAll()
        proxy.set()
      }),
    })
    t.strictSame(await compareRows(pair.primary, pair.cloud), [])
    const { rows } = await pair.cloud.query<{ snapshots: number; settled: number }>(
      `select count(distinct snapshot_lsn)::int as snapshots, (select count(*)::int from relay_tables) as settled from relay_ranges`,
    )
    t.match(rows, [{ snapshots: 2 }])
    t.ok((rows[0]?.settled ?? 0) > 0)
    const slots = await pair.primary.query(
      'select from pg_replication_slots where database = current_database()',
    )
    t.equal(slots.rowCount, 1, 'the temporary slot is gone')
  },
)

t.test('a line on which nothing moves is given up, and another is tried', async (t) => {
  const pair = await createSeedPair(t)
  await fillTalks(pair.primary, 1, 600)
  const { proxy, way } = await cloudThroughProxy(t, pair)
  proxy.set({ bytesPerSecond: 300_000 })
  const notes: string[] = []
  await pair.seed({
    ...way,
    stallMs: 500,
    ...atRanges([5], () => proxy.set({ isBlackhole: true })),
    onNote: (text) => {
      notes.push(text)
      proxy.set()
      // The server notices too, by its keepalives, and lets go of the ranges.
      proxy.resetAll()
    },
  })
  t.match(notes[0], /nothing was copied for/)
  t.strictSame(await compareRows(pair.primary, pair.cloud), [])
})

t.test('a cloud that stays away ends it with advice; the next run goes on', async (t) => {
  const pair = await createSeedPair(t)
  await fillTalks(pair.primary, 1, 600)
  const { proxy, way } = await cloudThroughProxy(t, pair)
  proxy.set({ bytesPerSecond: 300_000 })
  const down = atRanges([5], () => {
    proxy.set({ isDown: true })
    proxy.resetAll()
  })
  await t.rejects(pair.seed({ ...way, ...down, patience: 1 }), {
    code: 'SEED_INTERRUPTED',
    exitCode: 1,
    hint: /goes on where it stopped/,
  })
  const before = await pair.cloud.query('select from relay_ranges where snapshot_lsn is not null')
  t.ok((before.rowCount ?? 0) >= 5)
  const { copy } = await pair.seed({ work: { kind: 'resume' } })
  t.equal(copy.rows, 4 * 540 + 1)
  t.strictSame(await compareRows(pair.primary, pair.cloud), [])
})

t.test('a slot that is lost during the copy ends it', async (t) => {
  const pair = await createSeedPair(t)
  await fillTalks(pair.primary, 1, 600)
  const { proxy, way } = await cloudThroughProxy(t, pair)
  proxy.set({ bytesPerSecond: 20_000 })
  const losing = atRanges([1], () => {
    pair.primary.query('select pg_drop_replication_slot($1)', [pair.slot]).catch(() => undefined)
  })
  await t.rejects(pair.seed({ ...way, ...losing }), { code: 'SLOT_LOST', hint: /begins anew/ })
  t.match((await pair.cloud.query('select state from relay_progress')).rows, [{ state: 'seeding' }])
})

t.test('a row that the cloud has from elsewhere stops it, by table', async (t) => {
  const pair = await createSeedPair(t)
  await fillTalks(pair.primary, 1, 100)
  await pair.cloud.query('insert into lexicon values (5, 1)')
  await pair.primary.query('insert into lexicon values (5, 7)')
  await t.rejects(pair.seed(), { code: 'DUPLICATE_KEY', message: /^lexicon /, hint: /ops reseed lexicon/ })
  t.strictSame((await pair.cloud.query('select * from lexicon')).rows, [{ term: 5, documents: 1 }])
})

t.test('Ctrl-C', async (t) => {
  const pair = await createSeedPair(t)
  await fillTalks(pair.primary, 1, 600)
  const stop = new AbortController()
  const reason = new Error('stopped')
  await t.rejects(pair.seed({ signal: stop.signal, ...atRanges([3], () => stop.abort(reason)) }), reason)
  await pair.seed({ work: { kind: 'resume' } })
  t.strictSame(await compareRows(pair.primary, pair.cloud), [])
})
