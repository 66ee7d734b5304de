import t from 'tap'
import type pg from 'pg'
import { createPool } from '../../../core/db.ts'
import { publishedTables } from '../../../core/published-tables.ts'
import { readTableFacts } from '../../../replication/table-facts.ts'
import { cutChunk, cutTable, pieceOf } from '../../../replication/verify/boundaries.ts'
import {
  buildHashSql,
  rangeCondition,
  wholeTable,
  type HashSql,
  type KeyRange,
} from '../../../replication/verify/row-hash.ts'
import { hashRanges } from '../../../replication/verify/table-hash.ts'
import { createDatabase } from '../../support/databases.ts'

let db: pg.Pool
let sql: HashSql

t.before(async () => {
  const url = await createDatabase(t, 'primary')
  db = createPool({ connectionString: url, applicationName: 'homeport test' })
  t.teardown(() => db.end())
  await db.query(
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state)
     select id, 'test', 'lsa', 'x', 1, 0.8, 0.2, 'building' from generate_series(1, 4) id`,
  )
  // Three models, the last of them large.
  await db.query(
    `insert into model_terms select m, i, '[1]'::halfvec from generate_series(1, 2) m, generate_series(-20, 20) i
     union all select 4, i, '[1]'::halfvec from generate_series(1, 20000) i`,
  )
  await db.query('vacuum analyze model_terms')
  const tables = publishedTables.filter(({ name }) => name === 'model_terms')
  const facts = (await readTableFacts(db, tables)).get('model_terms')
  const [table] = tables
  if (table === undefined || facts === undefined) throw new Error('no model_terms')
  sql = buildHashSql(table, facts, true)
})

async function rowsIn(range: KeyRange): Promise<number> {
  const { rows } = await db.query<{ rows: number }>(
    `select count(*)::int as "rows" from model_terms t where ${rangeCondition(sql, range).sql}`,
  )
  return rows[0]?.rows ?? -1
}

t.test('chunks and their pieces follow one another, and hold every row once', async (t) => {
  const sizes = [
    { rows: 50, minPieceRows: 7 },
    { rows: 3000, minPieceRows: 30 },
    { rows: 100_000, minPieceRows: 2000 },
    { rows: 20_082, minPieceRows: 10_041 },
  ]
  for (const size of sizes) {
    let rest: KeyRange | null = wholeTable
    let end: KeyRange['to'] = null
    let total = 0
    let chunks = 0
    while (rest !== null && chunks < 3) {
      const chunk = await cutChunk(db, sql, rest, size)
      t.strictSame(chunk.ranges[0]?.from, end, 'begins where the last one ended')
      for (const [place, range] of chunk.ranges.entries()) {
        if (place > 0) t.strictSame(range.from, chunk.ranges[place - 1]?.to)
        total += await rowsIn(range)
      }
      end = chunk.ranges.at(-1)?.to ?? null
      t.strictSame(end, chunk.rest?.from ?? null)
      rest = chunk.rest
      chunks += 1
    }
    t.equal(total + (rest === null ? 0 : await rowsIn(rest)), 20_082, JSON.stringify(size))
  }
})

t.test('within a range the last piece ends where the range does', async (t) => {
  const range = { from: ['1', '5'], to: ['4', '11'] }
  const chunk = await cutChunk(db, sql, range, { rows: 1000, minPieceRows: 20 })
  t.equal(chunk.rest, null)
  t.strictSame([chunk.ranges[0]?.from, chunk.ranges.at(-1)?.to], [range.from, range.to])
  const counts = await Promise.all(chunk.ranges.map(rowsIn))
  t.equal(
    counts.reduce((sum, rows) => sum + rows, 0),
    16 + 41 + 10,
  )
})

t.test('a table is cut into pieces of so many rows', async (t) => {
  const cuts = await cutTable(db, sql, 10_000)
  t.strictSame(cuts, [
    ['4', '9919'],
    ['4', '19919'],
  ])
  t.strictSame(
    await Promise.all(cuts.concat([[]]).map((_, place) => rowsIn(pieceOf(cuts, place)))),
    [10_000, 10_000, 82],
  )
  t.strictSame(await cutTable(db, sql, 30_000), [])
})

t.test('a range means the same however many columns its ends share', async (t) => {
  const ranges: readonly (readonly [KeyRange, number])[] = [
    [{ from: ['1', '-3'], to: ['1', '4'] }, 7],
    [{ from: ['1', '10'], to: ['2', '-10'] }, 11 + 10],
    [{ from: ['4', '5'], to: ['4', '5'] }, 0],
    [{ from: null, to: ['1', '-19'] }, 1],
    [{ from: ['4', '20000'], to: null }, 1],
    [{ from: ['3', '0'], to: ['3', '9'] }, 0],
  ]
  for (const [range, rows] of ranges) t.equal(await rowsIn(range), rows, JSON.stringify(range))
})

t.test('a server that rests between the rows finds the same hashes', async (t) => {
  const ranges = [
    { from: null, to: ['4', '1'] },
    { from: ['4', '1'], to: ['4', '300'] },
  ]
  const plain = await hashRanges(db, sql, ranges)
  const rested = await hashRanges(db, sql, ranges, 40)
  t.strictSame(rested.buckets, plain.buckets)
  t.strictSame([plain.buckets.map((one) => one.rows), plain.serverMs > 0], [[82, 299], true])
  const one = await db.connect()
  try {
    await one.query(`set statement_timeout = '200ms'`)
    await t.rejects(hashRanges(one, sql, ranges, 1), { code: '57014' }, '381 rests of a millisecond')
  } finally {
    one.release(true)
  }
})

t.test('reading a range reads no more of the index than that', async (t) => {
  const pages = async (range: KeyRange): Promise<number> => {
    const client = await db.connect()
    try {
      await client.query('begin; set local enable_seqscan = off; set local enable_bitmapscan = off')
      const { rows } = await client.query<{ 'QUERY PLAN': { Plan: Record<string, number> }[] }>(
        `explain (analyze, buffers, format json) select count(*) from model_terms t where ${rangeCondition(sql, range).sql}`,
      )
      const plan = rows[0]?.['QUERY PLAN'][0]?.Plan
      return (plan?.['Shared Hit Blocks'] ?? 0) + (plan?.['Shared Read Blocks'] ?? 0)
    } finally {
      await client.query('rollback')
      client.release()
    }
  }
  const few = await pages({ from: ['4', '10'], to: ['4', '110'] })
  const all = await pages({ from: ['4', '10'], to: ['4', '19990'] })
  t.ok(few < all / 4, `${few} of ${all} pages`)
})
