import { join } from 'node:path'
import type { Test } from 'tap'
import { createFallback, type FallbackOptions, type FallbackService } from '../../../api/fallback/service.ts'
import { fuse, wordsOnly, type Candidate, type Fused } from '../../../api/search/fuse.ts'
import { inverseDocumentFrequency, termWeight } from '../../../core/bm25.ts'
import { createPool } from '../../../core/db.ts'
import { createLsaEmbedder } from '../../../core/embed/lsa.ts'
import { dot, fromHalves, parseHalfvecText, toHalves } from '../../../core/vector.ts'
import { countTerms, queryTerms } from '../../../core/words.ts'
import type { ContentSource } from '../../support/content.ts'
import { queryRows } from '../../support/databases.ts'
import { randomNumbers, silent } from './fixture.ts'

/** Nothing listens there. */
export const nowhere = 'postgres://reader@127.0.0.1:1/nothing'

export const words =
  'postgres slot wal replica index vector query lag home cloud talk speech caption model'.split(' ')

export function sources(seed: number, firstId: number, count: number, segments = 12): ContentSource[] {
  const random = randomNumbers(seed)
  return Array.from({ length: count }, (_, at) => ({
    id: firstId + at,
    title: `Talk ${firstId + at}`,
    url: `https://example.org/${firstId + at}`,
    publishedAt: '2026-03-04T05:06:07Z',
    segments: Array.from({ length: segments }, () => {
      const text = Array.from(
        { length: 5 + Math.floor(random() * 30) },
        () => words[Math.floor(random() ** 2 * words.length)]!,
      ).join(' ')
      return { text, speaker: 'Ann', startMs: 1000, endMs: 9000 }
    }),
  }))
}

export function fallbackOn(t: Test, url: string, more: Partial<FallbackOptions> = {}): FallbackService {
  const pool = createPool({ connectionString: url, applicationName: 'test', connectTimeoutMs: 2_000 })
  const fallback = createFallback({
    pool,
    snapshotPath: join(t.testdirName, 'snapshot'),
    // Turns are taken by hand.
    refreshSeconds: 3_600,
    engine: 'scan',
    log: silent,
    ...more,
  })
  t.teardown(async () => {
    await fallback.stop()
    await pool.end()
  })
  return fallback
}

export async function started(
  t: Test,
  url: string,
  more: Partial<FallbackOptions> = {},
): Promise<FallbackService> {
  const fallback = fallbackOn(t, url, more)
  await fallback.start()
  await fallback.refresh()
  return fallback
}

export async function idsFor(fallback: FallbackService, query: string): Promise<string[]> {
  const { hits } = await fallback.index.search({ query, limit: 600, offset: 0 })
  return hits.map((hit) => hit.segmentId)
}

/** As the database computes it, which has the query in halves too; undefined where one of both says nothing. */
function cosine(query: Float32Array | undefined, stored: Float32Array): number | undefined {
  const rounded = fromHalves(toHalves(query ?? []))
  const lengths = Math.sqrt(dot(rounded, rounded) * dot(stored, stored))
  return lengths > 0 ? dot(rounded, stored) / lengths : undefined
}

/** The ranking from its definition, over what the database holds. */
export async function bruteForce(url: string, query: string, depth: number): Promise<Fused<Candidate>[]> {
  const segments = await queryRows<{ id: string; text: string; embedding: string | null }>(
    url,
    `select s.id, s.text, e.embedding::text
     from segments s left join embeddings e on e.segment_id = s.id and e.model_id = (select id from models where state = 'active')
     where s.visibility = 'public'`,
  )
  const [model] = await queryRows<{
    id: number
    fingerprint: string
    dimensions: number
    words: number
    vector: number
  }>(
    url,
    `select id, fingerprint, dimensions, words_weight as words, vector_weight as vector from models where state = 'active'`,
  )
  const [collection] = await queryRows<{ documents: number; average_length: number }>(
    url,
    'select * from collection',
  )
  const lexicon = new Map(
    (await queryRows<{ term: number; documents: number }>(url, 'select * from lexicon')).map((row) => [
      row.term,
      row.documents,
    ]),
  )
  const asked = queryTerms(query)
  let embedded: Float32Array | undefined
  if (model !== undefined) {
    const basis = await queryRows<{ term: number; basis: string }>(
      url,
      `select term, basis::text from model_terms where model_id = ${model.id} order by term`,
    )
    embedded = await createLsaEmbedder({
      dimensions: model.dimensions,
      terms: Int32Array.from(basis, (row) => row.term),
      basis: Uint16Array.from(basis.flatMap((row) => [...toHalves(parseHalfvecText(row.basis))])),
      generation: model,
    }).embedQuery(query)
  }
  const scored = segments.map(({ id, text, embedding }) => {
    const counted = countTerms(text)
    let score = 0
    asked.terms.forEach((term, at) => {
      const found = counted.terms.indexOf(term)
      if (found < 0) return
      const idf = inverseDocumentFrequency(collection!.documents, lexicon.get(term) ?? 1)
      score +=
        asked.counts[at]! *
        idf *
        termWeight(counted.counts[found]!, counted.length, collection!.average_length)
    })
    const vector = embedding === null ? undefined : cosine(embedded, parseHalfvecText(embedding))
    return { segmentId: id, words: score, vector: vector ?? 0, hasVector: vector !== undefined }
  })
  const byWords = scored.filter((one) => one.words > 0).sort((a, b) => b.words - a.words)
  const byVector = scored.filter((one) => one.hasVector).sort((a, b) => b.vector - a.vector)
  const candidates = new Set([...byWords.slice(0, depth), ...byVector.slice(0, depth)])
  return fuse([...candidates], model === undefined ? wordsOnly : model)
}
