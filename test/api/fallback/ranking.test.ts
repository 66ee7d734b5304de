import { join } from 'node:path'
import t from 'tap'
import { seedContent } from '../../support/content.ts'
import { createDatabase, queryRows } from '../../support/databases.ts'
import { createRole } from '../../support/roles.ts'
import { bruteForce, sources, started } from './database-fixture.ts'
import { noFaiss } from './fixture.ts'

t.test('memory ranks as the definition says', { skip: noFaiss }, async (t) => {
  t.testdir()
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, {
    sources: [...sources(1, 1, 10), { ...sources(2, 900, 1)[0]!, visibility: 'private' }],
    model: { id: 1, dimensions: 16 },
    beatAgeSeconds: 30,
  })
  const { url: readerUrl } = await createRole(t, url)
  const fallback = await started(t, readerUrl, { engine: 'auto' })
  t.match(fallback.status(), { ready: true, segments: 120, engine: 'faiss', modelId: 1 })
  for (const query of [
    'postgres slot',
    'lag',
    'wal wal model the of',
    'home cloud talk speech caption',
    'unheard',
  ]) {
    const expected = await bruteForce(url, query, 50)
    const answer = await fallback.index.search({ query, limit: 600, offset: 0 })
    t.equal(answer.source, 'memory')
    const all = await bruteForce(url, query, 600)
    t.same(
      answer.hits.map((hit) => hit.segmentId),
      all.map((one) => one.segmentId),
      query,
    )
    const page = await fallback.index.search({ query, limit: 5, offset: 10 })
    t.equal(page.total, expected.length, `${query}: candidates of a usual page`)
    t.same(
      page.hits.map((hit) => hit.segmentId),
      expected.slice(10, 15).map((one) => one.segmentId),
    )
    page.hits.forEach((hit, at) => {
      const wanted = expected[10 + at]!
      t.ok(Math.abs(hit.score - wanted.score) < 1e-6)
      t.ok(Math.abs(hit.scores.words - wanted.words) < 1e-9)
      t.ok(Math.abs(hit.scores.vector - wanted.vector) < 1e-6)
    })
  }
  const { hits, model, asOf } = await fallback.index.search({ query: 'slot', limit: 1, offset: 0 })
  t.same(model, { id: 1, name: 'lsa-1', kind: 'lsa' })
  t.match(hits[0]?.row, {
    speaker: 'Ann',
    startMs: 1000,
    wordStartsMs: null,
    turns: [{ speaker: 'Ann', offset: 0, startMs: 1000 }],
    source: { kind: 'video', publishedAt: new Date('2026-03-04T05:06:07Z') },
  })
  const [beat] = await queryRows<{ beat_at: Date }>(url, 'select beat_at from heartbeat')
  t.same(asOf, beat?.beat_at, 'as old as the heartbeat that had arrived')

  const scan = await started(t, readerUrl, { engine: 'scan', snapshotPath: join(t.testdirName, 'scan') })
  t.equal(scan.status().engine, 'scan')
  for (const query of ['postgres slot', 'replica index vector']) {
    const request = { query, limit: 50, offset: 0 }
    const [left, right] = [await fallback.index.search(request), await scan.index.search(request)]
    t.same(left.hits, right.hits, 'FAISS and the scan agree')
  }
})

t.test('a sentence model answers through the embedder that is handed in, and no other', async (t) => {
  t.testdir()
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: sources(1, 1, 2) })
  await queryRows(
    url,
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state)
     values (4, 'tiny', 'onnx', 'the-one', 2, 0, 1, 'active')`,
  )
  await queryRows(
    url,
    `insert into embeddings (model_id, segment_id, visibility, embedding)
     select 4, id, 'public', (case when id = 2003 then '[0,1]' else '[1,0]' end)::halfvec from segments`,
  )
  let closed = 0
  const embedder = (fingerprint: string) => ({
    kind: 'onnx' as const,
    dimensions: 2,
    fingerprint,
    embedQuery: async () => Float32Array.of(0, 1),
    embedSegments: async () => [],
    close: async () => void closed++,
  })
  const fallback = await started(t, url, { openSentenceModel: async () => embedder('the-one') })
  const answer = await fallback.index.search({ query: 'whatever', limit: 3, offset: 0 })
  t.match(answer, {
    model: { id: 4, kind: 'onnx' },
    hits: [{ segmentId: '2003', scores: { vector: 1 } }, {}, {}],
  })

  const failing = await started(t, url, {
    openSentenceModel: async () => ({
      ...embedder('the-one'),
      embedQuery: () => Promise.reject(new Error('the runtime is gone')),
    }),
    snapshotPath: join(t.testdirName, 'failing'),
  })
  const half = await failing.index.search({ query: 'postgres', limit: 3, offset: 0 })
  t.equal(half.model, null)
  t.equal(half.hits.length, 3, 'words answer alone')

  const wrong = await started(t, url, {
    openSentenceModel: async () => embedder('another'),
    snapshotPath: join(t.testdirName, 'wrong'),
  })
  t.equal(wrong.status().lastError, 'GENERATION_MISMATCH')
  t.equal((await wrong.index.search({ query: 'postgres', limit: 3, offset: 0 })).model, null)
  const none = await started(t, url, { snapshotPath: join(t.testdirName, 'none') })
  t.equal(none.status().lastError, 'MODEL_NOT_HERE')

  t.equal(closed, 1, 'one that does not fit is closed')
  await fallback.stop()
  t.equal(closed, 2, 'and so is one that is not needed any more')
})
