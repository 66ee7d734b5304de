import type pg from 'pg'
import { HomeportError } from '../../core/errors.ts'
import { loadSql } from '../../core/sql.ts'
import { toHalfvecText } from '../../core/vector.ts'
import type { RankedHit, SearchAnswer, SearchEngine, SearchRequest, Turn } from './engine.ts'
import { candidateDepth, wordsOnly } from './fuse.ts'
import type { Generation, GenerationKeeper } from './generation.ts'
import { planTerms, weighTerms } from './terms.ts'

/** Segments that are scored by words for one search, at most, for each half of the plan. */
const rowsCap = 1_000

/** Settings the statement needs in every session. */
export const searchSessionSettings = {
  // The compiler takes longer than the statement.
  jit: 'off',
  // At 100,000 segments 1.8 ms and recall 0.9985 of the nearest 10; deeper pages go on where it ends.
  'hnsw.ef_search': '100',
  'hnsw.iterative_scan': 'relaxed_order',
  // Its parameters change nothing about the right plan, and planning costs as much as a small search.
  plan_cache_mode: 'force_generic_plan',
} as const

export interface PostgresEngineOptions {
  pool: pg.Pool
  generations: GenerationKeeper
}

/** Hybrid search in the cloud database: one prepared statement a search. */
export class PostgresEngine implements SearchEngine {
  readonly #pool: pg.Pool
  readonly #generations: GenerationKeeper

  constructor({ pool, generations }: PostgresEngineOptions) {
    this.#pool = pool
    this.#generations = generations
  }

  /** Whether the words' statistics are loaded, without which nothing can be ranked. */
  ready(): boolean {
    return this.#generations.current() !== undefined
  }

  /** @throws HomeportError GENERATION_NOT_LOADED, or the database's error. */
  async search(request: SearchRequest): Promise<SearchAnswer> {
    const generation = this.#generations.current()
    if (generation === undefined) {
      throw new HomeportError('GENERATION_NOT_LOADED', 'the collection statistics are not loaded yet')
    }
    const statement = await searchStatement(request, generation)
    const rows = await this.#run(statement, request.signal)
    // No row means that nothing was compared: the generation whose vector we sent is gone by now.
    const model = rows[0]?.vectors_compared === true ? generation.vectors?.model : undefined
    const activeFingerprint = rows[0]?.active_fingerprint ?? null
    if (activeFingerprint !== (generation.vectors?.model.fingerprint ?? null)) {
      // The answer holds (vectors of another generation were not compared); the next one uses the new.
      this.#generations.refresh().catch(() => undefined)
    }
    return {
      source: 'postgres',
      hits: rows.flatMap((row) => (row.segment_id === null ? [] : [toHit(row, row.segment_id)])),
      total: rows[0]?.total ?? 0,
      model: model === undefined ? null : { id: model.id, name: model.name, kind: model.kind },
      asOf: rows[0]?.as_of ?? null,
    }
  }

  async #run(statement: pg.QueryConfig, signal: AbortSignal | undefined): Promise<SearchRow[]> {
    const client = await this.#pool.connect()
    // Closing the connection is the only way to leave a query that a hanging server will not answer.
    let released = false
    const release = (error?: Error) => {
      if (!released) client.release(error)
      released = true
    }
    const leave = () => release(new HomeportError('SEARCH_ABANDONED', 'the search took too long'))
    try {
      signal?.throwIfAborted()
      signal?.addEventListener('abort', leave, { once: true })
      const { rows } = await client.query<SearchRow>(statement)
      release()
      return rows
    } catch (error) {
      release(error instanceof Error ? error : new Error('the query failed'))
      throw error
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }
}

/** The statement of one search with its parameters. */
export async function searchStatement(
  request: Pick<SearchRequest, 'query' | 'limit' | 'offset'>,
  generation: Generation,
): Promise<{ name: string; text: string; values: unknown[] }> {
  const { statistics, vectors } = generation
  const depth = candidateDepth(request)
  const terms = weighTerms(request.query, statistics)
  const plan = planTerms(terms, { documents: statistics.documents, rows: rowsCap, enough: depth })
  const embedded = await vectors?.embedder.embedQuery(request.query)
  // A query in which the model knows nothing has no direction: a cosine with it would be NaN.
  const vector = embedded?.some((value) => value !== 0) === true ? embedded : undefined
  const weights =
    vectors === null || vector === undefined
      ? wordsOnly
      : { words: vectors.model.wordsWeight, vector: vectors.model.vectorWeight }
  const model = vectors?.model.id ?? 0
  const dimensions = vectors?.model.dimensions ?? 1
  return {
    name: `search-${model}-${dimensions}-${depth}`,
    text: loadSql('queries/search', { model, dimensions, depth, rows: Math.max(rowsCap, depth) }),
    values: [
      terms.map(({ term }) => term),
      terms.map(({ weight }) => weight),
      plan.any,
      plan.all,
      statistics.averageLength > 0 ? statistics.averageLength : null,
      vector === undefined ? null : toHalfvecText(vector),
      vectors?.model.fingerprint ?? '',
      weights.words,
      weights.vector,
      request.limit,
      request.offset,
    ],
  }
}

interface SearchRow extends pg.QueryResultRow {
  as_of: Date | null
  active_fingerprint: string | null
  vectors_compared: boolean
  total: number
  segment_id: string | null
  score: number
  words: number
  vector: number
  text: string
  speaker: string | null
  chapter: string | null
  turns: string
  start_ms: number | null
  end_ms: number | null
  word_starts_ms: string | null
  source_id: string
  kind: string
  url: string | null
  title: string
  channel: string | null
  published_at: Date | null
  duration_ms: number | null
}

function toHit(row: SearchRow, segmentId: string): RankedHit {
  return {
    segmentId,
    score: row.score,
    scores: { words: row.words, vector: row.vector },
    row: {
      text: row.text,
      speaker: row.speaker,
      chapter: row.chapter,
      turns: JSON.parse(row.turns) as Turn[],
      startMs: row.start_ms,
      endMs: row.end_ms,
      // {1,2,3} read as JSON: pg's own array parser takes longer than the rest of the row.
      wordStartsMs:
        row.word_starts_ms === null ? null : (JSON.parse(`[${row.word_starts_ms.slice(1, -1)}]`) as number[]),
      source: {
        id: row.source_id,
        kind: row.kind,
        url: row.url,
        title: row.title,
        channel: row.channel,
        publishedAt: row.published_at,
        durationMs: row.duration_ms,
      },
    },
  }
}
