import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Embedder } from '../../../core/embed/embedder.ts'
import { connect } from '../../../core/db.ts'
import { createLsaEmbedder } from '../../../core/embed/lsa.ts'
import { parseHalfvecText, toHalves } from '../../../core/vector.ts'
import type { ChosenModel } from '../../../ingest/generation/model.ts'
import { refreshGeneration, type GenerationReport } from '../../../ingest/generation/refresh.ts'
import { activateGeneration } from '../../../ingest/generation/switch.ts'
import { openPrimary } from '../../../ingest/store/primary.ts'
import { createDatabase, queryRows } from '../../support/databases.ts'
import { captionsInProcess, paragraph, webvtt } from '../support/in-process.ts'
import { rowPlaces } from '../support/stored.ts'

const talk = (from: number, count: number): string =>
  webvtt(Array.from({ length: count }, (_, index) => paragraph(from + index)))

interface RefreshOver {
  chosen?: ChosenModel
  force?: boolean
}

async function refresh(url: string, over: RefreshOver = {}): Promise<GenerationReport> {
  const primary = await openPrimary(url)
  try {
    return await refreshGeneration({
      primary,
      chosen: { kind: 'lsa' },
      force: false,
      loaded: null,
      signal: new AbortController().signal,
      onProgress: () => undefined,
      ...over,
    })
  } finally {
    await primary.close()
  }
}

/** A stand-in for a sentence model: the length and the first letter of a text. */
function countingEmbedder(fingerprint: string): Embedder & { texts: string[] } {
  const texts: string[] = []
  const embed = (text: string): Float32Array => {
    const angle = text.length + text.charCodeAt(0)
    return Float32Array.of(Math.cos(angle), Math.sin(angle), 0)
  }
  return {
    kind: 'onnx',
    dimensions: 3,
    fingerprint,
    texts,
    embedQuery: async (text) => embed(text),
    embedSegments: async (all) => {
      texts.push(...all)
      return all.map(embed)
    },
    close: async () => undefined,
  }
}

const models = `select id, kind, state, fitted_segments as fitted,
  (select count(*)::int from embeddings e where e.model_id = m.id) as vectors,
  (select count(*)::int > 0 from model_terms where model_id = m.id) as basis
  from models m order by id`

t.test('collections of no, one and three segments', async (t) => {
  const url = await createDatabase(t, 'primary')
  t.match(await refresh(url), { action: 'none', model: null, vectorsAdded: 0, lexiconWritten: null })
  const folder = t.testdir({ 'a.vtt': talk(0, 1) })
  const one = await captionsInProcess(url, [folder])
  t.match(one.report.generation, { action: 'build', model: { id: 1, dimensions: 2 }, vectorsAdded: 1 })
  writeFileSync(join(folder, 'b.vtt'), talk(10, 2))
  const three = await captionsInProcess(url, [folder])
  t.match(three.report.generation, { action: 'build', model: { id: 2 }, vectorsAdded: 3 })
  t.match(await queryRows(url, models), [{ id: 2, state: 'active', fitted: 3, vectors: 3, basis: true }])
  rmSync(join(folder, 'a.vtt'))
  rmSync(join(folder, 'b.vtt'))
  await captionsInProcess(url, [folder], { prune: true, yes: true })
  t.match(await queryRows(url, 'select (select count(*)::int from embeddings) as vectors'), [{ vectors: 0 }])
  t.match(await queryRows(url, 'select documents from collection'), [{ documents: 0 }])
})

t.test('fitted again at a fifth more, counted again at a twentieth', async (t) => {
  const url = await createDatabase(t, 'primary')
  const folder = t.testdir({ 'a.vtt': talk(0, 100) })
  await captionsInProcess(url, [folder])
  const steps: [number, string, number, number][] = [
    // segments more, action, model, documents counted
    [4, 'keep', 1, 100],
    [1, 'keep', 1, 105],
    [14, 'keep', 1, 119],
    [1, 'build', 2, 119],
  ]
  let from = 1000
  for (const [more, action, model, documents] of steps) {
    writeFileSync(join(folder, `${from}.vtt`), talk(from, more))
    from += 1000
    const { report } = await captionsInProcess(url, [folder])
    t.match(report.generation, { action, model: { id: model } }, `${more} more`)
    t.match(await queryRows(url, 'select documents from collection'), [{ documents }])
  }
  t.match(await queryRows(url, models), [{ id: 2, state: 'active', fitted: 120, vectors: 120 }])
  t.same(
    await queryRows(
      url,
      `select l.term, l.documents from lexicon l
       full join (select term, count(*) as n from segment_terms, unnest(terms) as term group by 1 having count(*) > 1) w
         using (term)
       where l.documents is null or w.n is null or abs(l.documents - w.n) > 1`,
    ),
    [],
    'the lexicon is at most the last segment behind',
  )
  const before = await rowPlaces(url)
  t.match(await refresh(url), { action: 'keep', vectorsAdded: 0, lexiconWritten: null })
  t.same(await rowPlaces(url), before, 'with nothing to do nothing is written')
})

t.test('stored vectors are those that the stored basis makes of the text', async (t) => {
  const url = await createDatabase(t, 'primary')
  const folder = t.testdir({ 'a.vtt': talk(0, 30) })
  await captionsInProcess(url, [folder])
  // The second way to a vector: with the source, from the generation that is active already.
  writeFileSync(join(folder, 'b.vtt'), talk(500, 3))
  const { report } = await captionsInProcess(url, [folder])
  t.match(report.generation, { action: 'keep', vectorsAdded: 0 })
  const [generation] = await queryRows<{ fingerprint: string; dimensions: number }>(
    url,
    'select fingerprint, dimensions from models',
  )
  const basis = await queryRows<{ term: number; basis: string }>(
    url,
    'select term, basis::text from model_terms order by term',
  )
  if (generation === undefined) throw new Error('no generation')
  const embedder = createLsaEmbedder({
    generation,
    dimensions: generation.dimensions,
    terms: Int32Array.from(basis, ({ term }) => term),
    basis: Float32Array.from(basis.flatMap((row) => [...parseHalfvecText(row.basis)])),
  })
  const stored = await queryRows<{ text: string; vector: string }>(
    url,
    'select s.text, e.embedding::text as vector from segments s join embeddings e on e.segment_id = s.id',
  )
  t.equal(stored.length, 33)
  for (const { text, vector } of stored) {
    const [made] = await embedder.embedSegments([text])
    t.same(toHalves(parseHalfvecText(vector)), toHalves(made ?? []), text.slice(0, 12))
  }
})

t.test('lost vectors are made again', async (t) => {
  const url = await createDatabase(t, 'primary')
  await captionsInProcess(url, [t.testdir({ 'a.vtt': talk(0, 10) })])
  const vectors = 'select segment_id, embedding::text from embeddings order by 1'
  const before = await queryRows(url, vectors)
  await queryRows(
    url,
    'delete from embeddings where segment_id in (select segment_id from embeddings limit 4)',
  )
  t.match(await refresh(url), { action: 'keep', vectorsAdded: 4 })
  t.same(await queryRows(url, vectors), before)
})

t.test('a damaged basis is noticed, and --force mends it', async (t) => {
  const url = await createDatabase(t, 'primary')
  await captionsInProcess(url, [t.testdir({ 'a.vtt': talk(0, 10) })])
  await queryRows(url, 'delete from embeddings')
  await queryRows(url, 'delete from model_terms where term in (select term from model_terms limit 1)')
  await t.rejects(refresh(url), { code: 'GENERATION_MISMATCH' })
  t.match(await refresh(url, { force: true }), { action: 'build', model: { id: 2 }, vectorsAdded: 10 })
})

t.test('a sentence model takes over, and gives way, as a whole', async (t) => {
  const url = await createDatabase(t, 'primary')
  await captionsInProcess(url, [t.testdir({ 'a.vtt': talk(0, 10) })])
  const first = countingEmbedder('one')
  const chosen = { kind: 'onnx', name: 'tiny', embedder: first } as const
  t.match(await refresh(url, { chosen }), {
    action: 'build',
    model: { id: 2, name: 'tiny', kind: 'onnx' },
    vectorsAdded: 10,
  })
  t.match(await queryRows(url, models), [
    { id: 2, kind: 'onnx', state: 'active', fitted: null, vectors: 10, basis: false },
  ])
  t.equal(first.texts.length, 10)
  t.match(await refresh(url, { chosen }), { action: 'keep', vectorsAdded: 0 })
  t.equal(first.texts.length, 10, 'nothing is embedded twice')
  const other = { ...chosen, embedder: countingEmbedder('two') }
  t.match(await refresh(url, { chosen: other }), { action: 'build', model: { id: 3 } })
  t.match(await refresh(url), { action: 'build', model: { id: 4, kind: 'lsa' } })
  t.match(await queryRows(url, models), [{ id: 4, state: 'active' }])
})

t.test('stopped before the switch, it goes on; its id is not given again', async (t) => {
  const url = await createDatabase(t, 'primary')
  await captionsInProcess(url, [t.testdir({ 'a.vtt': talk(0, 10) })])
  const embedder = countingEmbedder('one')
  const chosen = { kind: 'onnx', name: 'tiny', embedder } as const
  await queryRows(
    url,
    'create function no() returns trigger language plpgsql as $$ begin raise exception $x$full$x$; end $$',
  )
  await queryRows(url, 'create trigger no before update on models for each row execute function no()')
  await t.rejects(refresh(url, { chosen }), /full/)
  t.match(await queryRows(url, models), [
    { id: 1, state: 'active' },
    { id: 2, state: 'building', vectors: 10 },
  ])
  await queryRows(url, 'drop trigger no on models')
  t.match(await refresh(url, { chosen }), { action: 'finish', model: { id: 2 }, vectorsAdded: 0 })
  t.equal(embedder.texts.length, 10)

  // One that is given up: the next gets another id, whatever was cleaned in between.
  await queryRows(
    url,
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state)
     values (3, 'x', 'onnx', 'gone', 3, 0.5, 0.5, 'building')`,
  )
  t.match(await refresh(url, { chosen }), { action: 'keep', model: { id: 2 } })
  t.match(await refresh(url), { action: 'build', model: { id: 4 } })
})

t.test('an incomplete generation is not switched to', async (t) => {
  const url = await createDatabase(t, 'primary')
  await captionsInProcess(url, [t.testdir({ 'a.vtt': talk(0, 3) })])
  await queryRows(
    url,
    `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, state)
     values (2, 'x', 'onnx', 'y', 3, 0.5, 0.5, 'building')`,
  )
  const primary = await openPrimary(url)
  t.teardown(() => primary.close())
  await t.rejects(activateGeneration(primary, 2), { code: 'GENERATION_INCOMPLETE' })
  t.match(await queryRows(url, models), [
    { id: 1, state: 'active' },
    { id: 2, state: 'building' },
  ])
})

t.test('a reader sees one complete generation at every moment', async (t) => {
  const url = await createDatabase(t, 'primary')
  await captionsInProcess(url, [t.testdir({ 'a.vtt': talk(0, 40) })])
  const reader = await connect({ connectionString: url, applicationName: 'reader' })
  t.teardown(() => reader.end())
  let done = false
  const seen = new Map<string, number>()
  const reading = (async () => {
    while (!done) {
      const { rows } = await reader.query<{ active: number; missing: number; ids: string }>(
        `select (select count(*)::int from models where state = 'active') as active,
                (select string_agg(id::text, ',') from models where state = 'active') as ids,
                (select count(*)::int from segments s where not exists (
                   select from embeddings e join models m on m.id = e.model_id and m.state = 'active'
                   where e.segment_id = s.id)) as missing`,
      )
      const state = `${rows[0]?.active} active, ${rows[0]?.missing} missing`
      seen.set(state, (seen.get(state) ?? 0) + 1)
      seen.set(`generation ${rows[0]?.ids}`, 1)
      await sleep(1)
    }
  })()
  for (let round = 0; round < 4; round += 1) await refresh(url, { force: true })
  done = true
  await reading
  t.same(
    [...seen.keys()].filter((key) => key.includes('active')),
    ['1 active, 0 missing'],
  )
  t.ok([...seen.keys()].filter((key) => key.startsWith('generation')).length > 1, 'it did look meanwhile')
})
