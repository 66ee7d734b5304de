import t from 'tap'
import { createPool } from '../../core/db.ts'
import { buildMemoryMb, ensureVectorIndex, planVectorIndex } from '../../replication/vector-index.ts'
import { createDatabase } from '../support/databases.ts'
import { insertTalk } from './support.ts'

t.test('the active model gets its index once, and those of models that are gone are dropped', async (t) => {
  const cloud = createPool({
    connectionString: await createDatabase(t, 'cloud'),
    applicationName: 'homeport test',
  })
  t.teardown(() => cloud.end())
  t.match(await ensureVectorIndex({ cloud }), { model: null, created: false })
  await insertTalk(cloud, { id: 1 })
  await cloud.query(`create index embeddings_model_9 on embeddings (segment_id)`)
  t.match(await ensureVectorIndex({ cloud }), { model: 1, created: true, dropped: ['embeddings_model_9'] })
  const { rows } = await cloud.query<{ definition: string }>(
    `select indexdef as definition from pg_indexes where indexname like 'embeddings_model_%'`,
  )
  t.equal(rows.length, 1)
  t.match(rows[0]?.definition, /USING hnsw .*halfvec\(3\).* halfvec_cosine_ops\) WHERE \(model_id = 1\)/)
  t.match(await ensureVectorIndex({ cloud }), { model: 1, created: false, dropped: [] })
})

t.test('what is built and what is dropped', async (t) => {
  const model = (id: number, state: 'building' | 'active' | 'retired') => ({ id, state, dimensions: 3 })
  const index = (id: number, valid = true) => ({ name: `embeddings_model_${id}`, valid, bytes: '1' })
  t.match(planVectorIndex({ models: [], indexes: [] }), { drop: [], create: null, present: false })
  t.match(planVectorIndex({ models: [model(1, 'active')], indexes: [index(1)] }), {
    drop: [],
    create: null,
    present: true,
  })
  t.match(
    planVectorIndex({ models: [model(1, 'active')], indexes: [index(1, false)] }),
    { drop: ['embeddings_model_1'], create: { id: 1 }, present: false },
    'a build that was cut off is done again',
  )
  t.match(planVectorIndex({ models: [model(1, 'retired'), model(2, 'active')], indexes: [index(1)] }), {
    drop: ['embeddings_model_1'],
    create: { id: 2 },
  })
  t.match(
    planVectorIndex({ models: [model(1, 'active'), model(2, 'building')], indexes: [index(1), index(2)] }),
    { drop: [], create: null },
    'one that is being prepared keeps its index',
  )
})

t.test('memory for a build', async (t) => {
  t.equal(buildMemoryMb(0, 384), 64)
  t.equal(buildMemoryMb(100_000, 384), 131)
  t.equal(buildMemoryMb(10_000_000, 768), 512)
})
