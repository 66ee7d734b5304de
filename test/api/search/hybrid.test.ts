import { pino } from 'pino'
import t, { type Test } from 'tap'
import { fuse } from '../../../api/search/fuse.ts'
import { createGenerationKeeper, type GenerationKeeper } from '../../../api/search/generation.ts'
import { PostgresEngine, searchSessionSettings, searchStatement } from '../../../api/search/hybrid.ts'
import { weighTerms } from '../../../api/search/terms.ts'
import { termWeight } from '../../../core/bm25.ts'
import { createPool } from '../../../core/db.ts'
import { createLog } from '../../../core/log.ts'
import { parseHalfvecText } from '../../../core/vector.ts'
import { countTerms } from '../../../core/words.ts'
import { seedContent } from '../../support/content.ts'
import { createDatabase, queryRows } from '../../support/databases.ts'
import { talks } from '../../support/talks.ts'

interface Bench {
  engine: PostgresEngine
  generations: GenerationKeeper
}

async function openEngine(t: Test, url: string): Promise<Bench> {
  const pool = createPool({
    connectionString: url,
    applicationName: 'test',
    sessionSettings: searchSessionSettings,
  })
  const generations = createGenerationKeeper({
    pool,
    log: createLog({ name: 'test', level: 'silent' }),
    openSentenceModel: () => Promise.reject(new Error('there is no sentence model here')),
  })
  t.teardown(async () => {
    await generations.close()
    await pool.end()
  })
  await generations.refresh()
  return { engine: new PostgresEngine({ pool, generations }), generations }
}

const ask = (query: string, limit = 10, offset = 0) => ({ query, limit, offset })

void t.test('finds the moment, with everything a hit shows', async (t) => {
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: talks, model: { id: 3, dimensions: 16, index: true }, beatAgeSeconds: 5 })
  const { engine } = await openEngine(t, url)
  const answer = await engine.search(ask('abandoned replication slots'))
  t.match(answer, {
    source: 'postgres',
    model: { id: 3, name: 'lsa-3', kind: 'lsa' },
    asOf: Date,
  })
  t.match(answer.hits[0], {
    segmentId: '1001',
    row: {
      speaker: 'Ben',
      chapter: null,
      startMs: 83_000,
      wordStartsMs: [0, 500],
      turns: [{ speaker: 'Ben', offset: 0, startMs: 83_000 }],
      source: { id: '1', title: 'Keeping WAL in check', channel: 'Home databases', durationMs: 600_000 },
    },
  })
  t.notOk(
    answer.hits.some((hit) => hit.row.source.id === '4'),
    'a private row that should not be here is not shown either',
  )
  t.equal(answer.total, 6, 'few enough segments: all are candidates')
})

void t.test('a segment whose vector is zero has no direction, and does not win', async (t) => {
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: talks, model: { id: 3, dimensions: 16 } })
  await queryRows(
    url,
    `update embeddings set embedding = array_fill(0, array[16])::real[]::halfvec where segment_id <> 1001`,
  )
  const { engine } = await openEngine(t, url)
  const { hits } = await engine.search(ask('abandoned replication slots'))
  t.equal(hits[0]?.segmentId, '1001')
  t.ok(hits.length > 1)
  for (const hit of hits) t.ok(Number.isFinite(hit.score), `${hit.segmentId} has a score`)
})

void t.test('scores and order are those of bm25.ts, the embedder and fuse.ts', async (t) => {
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: talks, model: { id: 1, dimensions: 24 } })
  const { engine, generations } = await openEngine(t, url)
  const generation = generations.current()
  if (generation?.vectors === null || generation?.vectors === undefined)
    throw new Error('no generation was loaded')
  const { statistics, vectors } = generation
  const rows = await queryRows<{ id: string; text: string; embedding: string }>(
    url,
    `select s.id, s.text, e.embedding::text from segments s join embeddings e on e.segment_id = s.id
     where s.visibility = 'public'`,
  )
  for (const query of ['replication slot', 'speech recognition names', 'the disk fills', 'vectors zebra']) {
    const terms = weighTerms(query, statistics)
    const vector = await vectors.embedder.embedQuery(query)
    const candidates = rows.map(({ id, text, embedding }) => {
      const counted = countTerms(text)
      const words = terms.reduce((sum, { term, weight }) => {
        const at = counted.terms.indexOf(term)
        if (at < 0) return sum
        return sum + weight * termWeight(counted.counts[at] ?? 0, counted.length, statistics.averageLength)
      }, 0)
      const stored = parseHalfvecText(embedding)
      const lengths = Math.hypot(...stored) * Math.hypot(...vector)
      const cosine = stored.reduce((sum, value, at) => sum + value * (vector[at] ?? 0), 0) / lengths
      return { segmentId: id, words, vector: cosine }
    })
    const expected = fuse(candidates, { words: 0.8, vector: 0.2 })
    const answer = await engine.search(ask(query))
    const near = (a: number, b: number) => Math.abs(a - b) < 0.002
    t.same(
      answer.hits.map((hit) => hit.segmentId),
      expected.map((each) => each.segmentId),
      query,
    )
    for (const [at, hit] of answer.hits.entries()) {
      const other = expected[at]
      if (other === undefined) throw new Error('fewer were expected')
      t.ok(near(hit.score, other.score), `${query}: score of ${hit.segmentId}`)
      t.ok(near(hit.scores.words, other.words), `${query}: words of ${hit.segmentId}`)
      t.ok(near(hit.scores.vector, other.vector), `${query}: vector of ${hit.segmentId}`)
    }
  }
})

void t.test('pages are parts of one ranking', async (t) => {
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: talks, model: { id: 1, dimensions: 8 } })
  const { engine } = await openEngine(t, url)
  const whole = await engine.search(ask('replication slot disk'))
  const pages = await Promise.all(
    [0, 2, 4, 6].map((offset) => engine.search(ask('replication slot disk', 2, offset))),
  )
  t.same(
    pages.flatMap((page) => page.hits.map((hit) => hit.segmentId)),
    whole.hits.map((hit) => hit.segmentId),
  )
  t.same(
    pages.map((page) => page.total),
    [6, 6, 6, 6],
    'the total is known past the end',
  )
})

void t.test('without a generation words answer alone', async (t) => {
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: talks })
  const { engine } = await openEngine(t, url)
  const answer = await engine.search(ask('replication slot'))
  t.equal(answer.model, null)
  t.equal(answer.hits[0]?.segmentId, '1001')
  t.equal(answer.hits[0]?.score, 1)
  t.same((await engine.search(ask('zebra'))).hits, [])
})

void t.test('an empty database gives an empty answer', async (t) => {
  const url = await createDatabase(t, 'cloud')
  const { engine } = await openEngine(t, url)
  t.same(await engine.search(ask('anything')), {
    source: 'postgres',
    hits: [],
    total: 0,
    model: null,
    asOf: null,
  })
})

void t.test('statistics that are not counted yet do not stop a search', async (t) => {
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: talks })
  await queryRows(url, 'delete from collection')
  await queryRows(url, 'delete from lexicon')
  const { engine } = await openEngine(t, url)
  t.equal((await engine.search(ask('replication slot'))).hits.length > 0, true)
})

void t.test('a question the model knows nothing of has no vector', async (t) => {
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: talks, model: { id: 1, dimensions: 8 } })
  const { engine } = await openEngine(t, url)
  t.match(await engine.search(ask('zyzzyva')), { hits: [], total: 0, model: null })
})

void t.test('query and stored vectors are never of different models', async (t) => {
  const url = await createDatabase(t, 'cloud')
  const old = { id: 1, dimensions: 12, seed: 1 }
  await seedContent(url, { sources: talks, model: old })
  const { engine, generations } = await openEngine(t, url)
  const before = await engine.search(ask('replication slot'))

  // The new generation becomes active while the api still holds the old one.
  const client = { sources: [], model: { id: 2, dimensions: 20, seed: 2, state: 'building' as const } }
  await seedContent(url, client)
  await queryRows(
    url,
    `insert into embeddings (model_id, segment_id, visibility, embedding)
     select 2, segment_id, visibility, (select array_agg(random()) from generate_series(1, 20))::vector::halfvec
     from embeddings where model_id = 1`,
  )
  await queryRows(url, `update models set state = 'retired' where id = 1`)
  await queryRows(url, `update models set state = 'active', activated_at = now() where id = 2`)
  const during = await engine.search(ask('replication slot'))
  t.equal(during.model?.id, 1, 'the old question is compared with the old vectors')
  t.same(
    during.hits.map((hit) => hit.scores),
    before.hits.map((hit) => hit.scores),
  )
  await generations.refresh()
  t.equal(generations.current()?.vectors?.model.id, 2, 'the next one uses the new generation')

  // The same id with another fingerprint: the vectors there now are not those of our question.
  await queryRows(url, `update models set state = 'retired' where id = 2`)
  await queryRows(url, `update models set state = 'active', fingerprint = 'other' where id = 1`)
  const stale = await searchStatement(ask('replication slot'), {
    statistics: generations.current()!.statistics,
    vectors: {
      ...generations.current()!.vectors!,
      model: { ...generations.current()!.vectors!.model, id: 1, dimensions: 12 },
    },
  })
  const vector = `[${Array.from({ length: 12 }, () => 1).join(',')}]`
  const rows = await queryRows<{ vector: number }>(
    url,
    stale.text,
    stale.values.map((value, at) => (at === 5 ? vector : value)),
  )
  t.ok(rows.length > 0)
  t.same([...new Set(rows.map((row) => row.vector))], [0], 'no cosine with vectors of another fingerprint')
})

void t.test('a basis that is not whole yet is not used, and is once it is', async (t) => {
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: talks, model: { id: 1, dimensions: 8 } })
  await queryRows(url, 'create table held as select * from model_terms order by term limit 3')
  await queryRows(url, 'delete from model_terms where term in (select term from held)')
  const { engine, generations } = await openEngine(t, url)
  t.equal(generations.problem() === null, false)
  t.match(await engine.search(ask('replication slot')), { model: null, hits: [{ segmentId: '1001' }] })
  await queryRows(url, 'insert into model_terms select * from held')
  await queryRows(url, 'update collection set counted_at = now()')
  await generations.refresh()
  t.equal(generations.problem(), null)
  t.equal((await engine.search(ask('replication slot'))).model?.id, 1)
})

void t.test('a generation that is gone takes no part, and is not named', async (t) => {
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: talks, model: { id: 1, dimensions: 12 } })
  const { engine } = await openEngine(t, url)
  const before = await engine.search(ask('replication slot'))
  t.equal(before.model?.id, 1)
  for (const table of ['embeddings', 'model_terms', 'models']) await queryRows(url, `delete from ${table}`)
  const { model, hits } = await engine.search(ask('replication slot'))
  t.equal(model, null, 'words alone decided')
  t.equal(hits[0]?.segmentId, before.hits[0]?.segmentId)
})

void t.test('a generation that cannot be used here is logged once, not at every try', async (t) => {
  const url = await createDatabase(t, 'cloud')
  await seedContent(url, { sources: talks, model: { id: 1, dimensions: 8 } })
  await queryRows(url, `update models set kind = 'onnx'`)
  const lines: string[] = []
  const pool = createPool({ connectionString: url, applicationName: 'test' })
  const generations = createGenerationKeeper({
    pool,
    log: pino({}, { write: (line) => lines.push(line) }),
    openSentenceModel: () => Promise.reject(new Error('there is no sentence model here')),
    retryMs: 0,
  })
  t.teardown(() => pool.end())
  for (let at = 0; at < 5; at++) await generations.refresh()
  t.equal(lines.filter((line) => line.includes('cannot embed')).length, 1)
  t.equal(lines.filter((line) => line.includes('generation loaded')).length, 1)
  await generations.close()
})

void t.test('common words of a large collection are ranked within the cap', async (t) => {
  const url = await createDatabase(t, 'cloud')
  const words = ['common', 'usual', 'plain']
  await seedContent(url, {
    sources: [
      {
        id: 1,
        title: 'Many',
        segments: Array.from({ length: 1_500 }, (_, at) => ({
          text: `${words[at % 3] ?? ''} common ${at === 1_234 ? 'zebra' : 'horse'} usual`,
        })),
      },
    ],
  })
  const { engine } = await openEngine(t, url)
  t.match(await engine.search(ask('common usual')), { total: 50 })
  t.equal((await engine.search(ask('common zebra'))).hits[0]?.segmentId, '2234', 'the rare word leads')
  t.equal((await engine.search(ask('common', 100, 500))).hits.length, 100, 'deep pages are there')
})
