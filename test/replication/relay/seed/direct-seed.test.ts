import { PassThrough, Readable } from 'node:stream'
import t from 'tap'
import { connect } from '../../../../core/db.ts'
import type { SeedRange } from '../../../../replication/relay/cloud-link.ts'
import { directSeed } from '../../../../replication/relay/seed/direct-seed.ts'
import { createSeedPair } from './support.ts'

function lexiconRows(...rows: (readonly [number, number])[]): Readable {
  return Readable.from([lexiconBytes(...rows)])
}

/** Rows of lexicon as COPY sends them in binary. */
function lexiconBytes(...rows: (readonly [number, number])[]): Buffer {
  const header = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)])
  const tuples = rows.map((values) => {
    const bytes = Buffer.alloc(2 + values.length * 8)
    bytes.writeInt16BE(values.length)
    values.forEach((value, place) => {
      bytes.writeInt32BE(4, 2 + place * 8)
      bytes.writeInt32BE(value, 6 + place * 8)
    })
    return bytes
  })
  return Buffer.concat([header, ...tuples, Buffer.from([0xff, 0xff])])
}

const columns = ['term', 'documents']

t.test('ranges are committed with their record, one by one', async (t) => {
  const pair = await createSeedPair(t)
  const seed = directSeed(pair.cloud)
  const { slot } = pair
  const ranges = [
    { table: 'lexicon', number: 0, from: null, to: ['10'] },
    { table: 'lexicon', number: 1, from: ['10'], to: null },
    { table: 'verifications', number: 0, from: null, to: [`it's "a", \\ {key}`] },
    { table: 'model_terms', number: 0, from: ['1', '-5'], to: ['2', '7'] },
  ]
  const progress = { slot, systemIdentifier: '7', timeline: 1, commitLsn: '0/10', endLsn: '0/20' }
  await seed.begin({ progress, ranges, empty: [] })
  const planned = await seed.ranges(slot)
  t.strictSame(
    planned,
    ranges
      .map((range) => ({ ...range, snapshotLsn: null, rows: null }))
      .sort((a, b) => (a.table < b.table ? -1 : a.table > b.table ? 1 : a.number - b.number)),
    'keys come back to the letter',
  )
  const [first, second] = planned as [SeedRange, SeedRange]
  const copy = (range: SeedRange, rows: Readable, snapshotLsn = '0/20') =>
    seed.copyRange({ slot, range, columns, snapshotLsn, rows })

  await t.rejects(seed.finish(slot), { code: 'SEED_UNFINISHED', message: /^4 ranges/ })
  t.strictSame(await copy(first, lexiconRows([1, 5], [2, 6])), { rows: 2 })
  const again = lexiconRows([1, 99])
  t.strictSame(await copy(first, again, '0/30'), { rows: 2 }, 'what is done takes nothing')
  t.equal(again.destroyed, true)
  t.strictSame((await pair.cloud.query('select * from lexicon order by 1')).rows, [
    { term: 1, documents: 5 },
    { term: 2, documents: 6 },
  ])

  // Nothing of a range that fails in the middle stays.
  await t.rejects(copy(second, lexiconRows([11, 1], [12, -1])), { code: '23514' })
  const cut = new PassThrough()
  cut.write(lexiconBytes([11, 1]))
  setTimeout(() => cut.destroy(new Error('the line broke')), 50)
  await t.rejects(copy(second, cut), { message: /the line broke/ })
  const stop = new AbortController()
  setTimeout(() => stop.abort(new Error('enough')), 50)
  await t.rejects(
    seed.copyRange({
      slot,
      range: second,
      columns,
      snapshotLsn: '0/20',
      rows: new PassThrough(),
      signal: stop.signal,
    }),
    { message: 'enough' },
  )
  t.match((await seed.ranges(slot))[1], { snapshotLsn: null, rows: null })
  t.equal((await pair.cloud.query('select from lexicon')).rowCount, 2)
  await copy(second, lexiconRows([11, 1]), '0/40')
  const unknown = { ...second, number: 7 }
  await t.rejects(copy(unknown, lexiconRows()), { code: 'SEED_ENDED' })

  await pair.cloud.query(
    `update relay_ranges set snapshot_lsn = '0/20', row_count = 0 where snapshot_lsn is null`,
  )
  const finished = { ...progress, sequence: '0', epoch: '0', state: 'following' }
  t.strictSame(await seed.finish(slot), finished)
  t.strictSame(await seed.finish(slot), finished, 'and once more, should the answer be lost')
  const settled = await pair.cloud.query(
    'select table_name as "table", settled_lsn::text as lsn from relay_tables',
  )
  t.strictSame(settled.rows, [{ table: 'lexicon', lsn: '0/40' }])
  await t.rejects(copy(second, lexiconRows()), { code: 'SEED_ENDED' }, 'a copy that is over takes nothing')
  await t.rejects(seed.finish('homeport_none'), { code: 'PROGRESS_MISSING' })
})

t.test('begun again for one table, the others keep what they have', async (t) => {
  const pair = await createSeedPair(t)
  const seed = directSeed(pair.cloud)
  const { slot } = pair
  const progress = { slot, systemIdentifier: '7', timeline: 1, commitLsn: '0/10', endLsn: '0/20' }
  const range = (table: string) => ({ table, number: 0, from: null, to: null })
  await seed.begin({ progress, ranges: [range('lexicon'), range('sources'), range('segments')], empty: [] })
  await pair.cloud.query(
    `update relay_ranges set snapshot_lsn = '0/30', row_count = 1;
     insert into lexicon values (1, 1);
     insert into sources (id, kind, title, visibility, transcript_method, processed_at) values (1, 'video', 'x', 'public', 'transcript', now());
     insert into segments (id, source_id, visibility, ordinal, text, turns, engine) values (1, 1, 'public', 0, 'x', '[]', 'x')`,
  )
  await seed.finish(slot)
  // Segments refer to sources, so that Postgres does not truncate these alone.
  await seed.begin({ progress, ranges: [range('sources')], empty: ['sources'] })
  t.match(await seed.ranges(slot), [
    { table: 'lexicon', snapshotLsn: '0/30' },
    { table: 'segments', snapshotLsn: '0/30' },
    { table: 'sources', snapshotLsn: null },
  ])
  const count = async (table: string) => (await pair.cloud.query(`select from ${table}`)).rowCount
  t.strictSame([await count('sources'), await count('segments'), await count('lexicon')], [0, 1, 1])
  t.equal(await count('tombstones'), 0, 'nothing was buried')
  const left = await pair.cloud.query('select table_name as name from relay_tables order by 1')
  t.strictSame(left.rows, [{ name: 'lexicon' }, { name: 'segments' }])
})

t.test('settings of the database and the role stop nothing', async (t) => {
  const pair = await createSeedPair(t)
  const database = new URL(pair.cloudUrl).pathname.slice(1)
  const session = await connect({ connectionString: pair.cloudUrl, applicationName: 'homeport test' })
  t.teardown(() => session.end())
  for (const setting of [
    `search_path = 'pg_catalog'`,
    `idle_in_transaction_session_timeout = '30ms'`,
    `statement_timeout = '100ms'`,
    `synchronous_commit = off`,
    `bytea_output = escape`,
  ]) {
    await session.query(`alter database ${database} set ${setting}`)
  }
  const rows = new PassThrough()
  rows.write(lexiconBytes([1, 1], [2, 1]).subarray(0, 30))
  const { slot } = pair
  const seed = directSeed(pair.cloud)
  const ranges = [{ table: 'lexicon', number: 0, from: null, to: null }]
  const progress = { slot, systemIdentifier: '7', timeline: 1, commitLsn: '0/10', endLsn: '0/20' }
  await seed.begin({ progress, ranges, empty: ['lexicon'] })
  const [range] = (await seed.ranges(slot)) as [SeedRange]
  const copying = seed.copyRange({ slot, range, columns, snapshotLsn: '0/20', rows })
  setTimeout(() => rows.end(lexiconBytes([1, 1], [2, 1]).subarray(30)), 300)
  t.strictSame(await copying, { rows: 2 })
})
