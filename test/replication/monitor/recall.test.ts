import t, { type Test } from 'tap'
import type pg from 'pg'
import { createPool } from '../../../core/db.ts'
import { searchSessionSettings } from '../../../api/search/hybrid.ts'
import {
  chooseIds,
  measureRecall,
  recallOf,
  searchIndexSettings,
} from '../../../replication/monitor/recall.ts'
import { ensureVectorIndex } from '../../../replication/vector-index.ts'
import { pinSearchPath } from '../../../replication/servers.ts'
import { createDatabase } from '../../support/databases.ts'
import { plant } from '../support.ts'

const dimensions = 32

async function createVectors(t: Test, rows: number): Promise<pg.Pool> {
  const connectionString = await createDatabase(t, 'cloud')
  const cloud = createPool({ connectionString, applicationName: 'homeport test', onConnect: pinSearchPath })
  t.teardown(() => cloud.end())
  await plant(
    cloud,
    `select setseed(0.5);
     insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state, activated_at)
     values (1, 'test', 'lsa', 'x', ${dimensions}, 0.8, 0.2, 'active', now());
     insert into embeddings (model_id, segment_id, visibility, embedding)
     select 1, s, 'public', (
       -- of each row, and not of all at once
       select array_agg(random() - 0.5) from generate_series(1, ${dimensions}) where s > 0
     )::real[]::halfvec
     from generate_series(1, ${rows}) s`,
  )
  await cloud.query('analyze embeddings')
  return cloud
}

t.test('the index is measured as the api searches', async (t) => {
  t.has(searchSessionSettings, searchIndexSettings)
})

t.test('a sound index finds nearly all, a bad one less, and nothing stays set in the sessions', async (t) => {
  const cloud = await createVectors(t, 3000)
  t.equal(await measureRecall({ cloud, seed: 1 }), null, 'there is no index')
  await ensureVectorIndex({ cloud })
  const sound = await measureRecall({ cloud, seed: 1 })
  t.match(sound, { model: 1, queries: 50 })
  t.ok((sound?.recallAt10 ?? 0) > 0.95 && (sound?.recallAt10 ?? 2) <= 1, `${sound?.recallAt10}`)
  t.equal(
    (await measureRecall({ cloud, seed: 1 }))?.recallAt10,
    sound?.recallAt10,
    'the same seed, the same answer',
  )

  await cloud.query('drop index embeddings_model_1')
  await cloud.query(
    `create index embeddings_model_1 on embeddings
     using hnsw ((embedding::halfvec(${dimensions})) halfvec_cosine_ops)
     with (m = 2, ef_construction = 4) where model_id = 1`,
  )
  const settings = { 'hnsw.ef_search': '10', 'hnsw.iterative_scan': 'off' } as const
  const bad = await measureRecall({ cloud, seed: 1, settings })
  t.ok(bad !== null && bad.recallAt10 > 0 && bad.recallAt10 < 0.8, `${bad?.recallAt10}`)
  const counted = await countRecall(cloud, 1)
  t.ok(Math.abs((bad?.recallAt10 ?? 0) - counted) < 1e-9, `counted another way: ${counted}`)
  t.ok((await measureRecall({ cloud, seed: 1, queries: 5 }))?.queries === 5)
  const { rows } = await cloud.query<{ scan: string }>(`select current_setting('enable_indexscan') as scan`)
  t.equal(rows[0]?.scan, 'on')
})

/** The same share with statements of its own: the exact half by an expression that no index has. */
async function countRecall(cloud: pg.Pool, seed: number): Promise<number> {
  const ids = new Set(chooseIds({ first: 1n, last: 3000n, count: 50, seed }).map(String))
  const session = await cloud.connect()
  await session.query('begin; set local hnsw.ef_search = 10; set local enable_sort = off')
  const near = async (id: string, plus: string): Promise<number[]> => {
    const distance = `e.embedding::halfvec(${dimensions}) <=> (select embedding::halfvec(${dimensions}) from embeddings where segment_id = $1)`
    const { rows } = await session.query<{ distance: number }>(
      `select (${distance})::float8 as distance from embeddings e
       where model_id = 1 and visibility = 'public' and segment_id <> $1 order by (${distance}) ${plus} limit 10`,
      [id],
    )
    return rows.map((row) => row.distance)
  }
  let sum = 0
  for (const id of ids) sum += recallOf(await near(id, '+ 0'), await near(id, ''))
  await session.query('rollback')
  session.release()
  return sum / ids.size
}

t.test('nothing is measured with few vectors, and a scan that takes too long is an error', async (t) => {
  const cloud = await createVectors(t, 150)
  await ensureVectorIndex({ cloud })
  t.match(await measureRecall({ cloud }), { recallAt10: 1 })
  await t.rejects(measureRecall({ cloud, signal: AbortSignal.abort(new Error('stopped')) }), {
    message: 'stopped',
  })
  t.equal(await measureRecall({ cloud, budgetMs: -1 }), null, 'no time, no number')
  await plant(cloud, `update embeddings set visibility = 'unlisted' where segment_id > 90`)
  t.equal(await measureRecall({ cloud }), null, 'the public ones count')
})

t.test(
  'a hit is as near as the tenth of the true ones; ids are spread between the first and the last',
  async (t) => {
    t.equal(recallOf([0.1, 0.2], [0.1, 0.2]), 1)
    t.equal(recallOf([0.1, 0.2], [0.1, 0.3]), 0.5)
    t.equal(recallOf([0.1, 0.2], [0.2, 0.2, 0.2]), 1, 'equal distances are equally near')
    t.equal(recallOf([0.1, 0.2], []), 0)
    const range = { first: -(2n ** 63n), last: 2n ** 63n - 1n, count: 1000, seed: 7 }
    const ids = chooseIds(range)
    t.strictSame(chooseIds(range), ids)
    t.ok(ids.every((id) => id >= range.first && id <= range.last))
    t.equal(new Set(ids).size, 1000)
    const below = ids.filter((id) => id < 0n).length
    t.ok(below > 400 && below < 600, `${below}`)
    t.strictSame(chooseIds({ first: 5n, last: 5n, count: 2, seed: 1 }), [5n, 5n])
  },
)
