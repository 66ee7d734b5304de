import type pg from 'pg'
import { createLsaEmbedder } from '../../core/embed/lsa.ts'
import type { Embedder, ModelGeneration } from '../../core/embed/embedder.ts'
import { errorMessage } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { loadSql } from '../../core/sql.ts'
import { parseHalfvecBinary } from '../../core/vector.ts'
import type { OpenSentenceModel } from '../sentence-models.ts'
import type { WordStatistics } from './terms.ts'

/** What the cloud database says words and vectors are worth right now, held in memory. */
export interface Generation {
  statistics: WordStatistics
  /** The active generation; null when there is none, or when its embedder cannot run here. */
  vectors: { model: ModelGeneration; embedder: Embedder } | null
}

export interface GenerationKeeper {
  current(): Generation | undefined
  /** Why the active generation's vectors take no part, if they do not. */
  problem(): string | null
  /**
   * Loads what changed since the last call; cheap when nothing did. Calls at the same time share one run.
   *
   * @throws the database's error; what was loaded before stays.
   */
  refresh(): Promise<void>
  close(): Promise<void>
}

export interface KeeperOptions {
  /** Its sessions need time for a whole lexicon and basis: not the pool that searches. */
  pool: pg.Pool
  openSentenceModel: OpenSentenceModel
  log: Logger
  /** A generation that could not be loaded is tried again this often (default 15 s), or when it changes. */
  retryMs?: number
}

export function createGenerationKeeper(options: KeeperOptions): GenerationKeeper {
  const { pool, openSentenceModel, log, retryMs = 15_000 } = options
  let loaded: Generation | undefined
  let loadedMarks: string | undefined
  let problem: string | null = null
  let failed: { marks: string; at: number } | undefined
  let running: Promise<void> | undefined

  async function load(): Promise<void> {
    const { rows } = await pool.query<{ marks: string }>(loadSql('queries/generation-marks'))
    if (loaded !== undefined && rows[0]?.marks === loadedMarks) return
    if (failed !== undefined && failed.marks === rows[0]?.marks && Date.now() - failed.at < retryMs) return
    const { marks, statistics, model, basis } = await readGeneration(pool, loaded)
    let vectors: Generation['vectors'] = null
    const known = failed?.marks === marks
    try {
      if (model !== null) vectors = await openVectors(model, basis, loaded, openSentenceModel)
      problem = null
      failed = undefined
      loadedMarks = marks
    } catch (error) {
      // Half replicated, or a model this machine does not have: what was loaded, or words, answer until then.
      problem = errorMessage(error)
      failed = { marks, at: Date.now() }
      vectors = loaded?.vectors ?? null
      loadedMarks = undefined
      const level = known ? 'debug' : 'warn'
      log[level]({ err: error, model: model?.id }, 'the active generation cannot embed queries here')
    }
    const previous = loaded?.vectors ?? null
    loaded = { statistics, vectors }
    if (previous !== null && previous.embedder !== vectors?.embedder) await previous.embedder.close()
    const level = known && failed !== undefined ? 'debug' : 'info'
    log[level](
      { documents: statistics.documents, model: vectors?.model.id ?? null },
      'search generation loaded',
    )
  }

  return {
    current: () => loaded,
    problem: () => problem,
    refresh: () => (running ??= load().finally(() => (running = undefined))),
    async close() {
      await running?.catch(() => undefined)
      await loaded?.vectors?.embedder.close()
      loaded = undefined
    },
  }
}

interface Basis {
  terms: Int32Array
  basis: Uint16Array
}

interface ReadGeneration {
  marks: string
  statistics: WordStatistics
  model: ModelGeneration | null
  /** Null when the model needs none, or is the one already loaded. */
  basis: Basis | null
}

/** Reads one moment of the database: everything in one snapshot. */
async function readGeneration(pool: pg.Pool, loaded: Generation | undefined): Promise<ReadGeneration> {
  const client = await pool.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    const marks = await client.query<{ marks: string }>(loadSql('queries/generation-marks'))
    const model = await readActiveModel(client)
    const statistics = await readStatistics(client)
    const known = model !== null && loaded?.vectors?.model.fingerprint === model.fingerprint
    const basis = model?.kind === 'lsa' && !known ? await readBasis(client, model) : null
    await client.query('commit')
    client.release()
    return { marks: marks.rows[0]?.marks ?? '', statistics, model, basis }
  } catch (error) {
    client.release(true)
    throw error
  }
}

async function readActiveModel(client: pg.ClientBase): Promise<ModelGeneration | null> {
  const { rows } = await client.query<{
    id: number
    name: string
    kind: 'lsa' | 'onnx'
    fingerprint: string
    dimensions: number
    words_weight: number
    vector_weight: number
  }>(loadSql('queries/active-model'))
  const row = rows[0]
  if (row === undefined) return null
  const { words_weight: wordsWeight, vector_weight: vectorWeight, ...rest } = row
  return { ...rest, wordsWeight, vectorWeight }
}

async function readStatistics(client: pg.ClientBase): Promise<WordStatistics> {
  const collection = await client.query<{ documents: number; average_length: number }>(
    loadSql('queries/collection'),
  )
  const lexicon = await client.query<[term: number, documents: number]>({
    text: loadSql('queries/lexicon'),
    rowMode: 'array',
  })
  return {
    documents: collection.rows[0]?.documents ?? 0,
    averageLength: collection.rows[0]?.average_length ?? 0,
    lexicon: new Map(lexicon.rows),
  }
}

async function readBasis(client: pg.ClientBase, model: ModelGeneration): Promise<Basis> {
  // By pages: what arrives as hexadecimal text is several times the size of what is kept.
  const pages: { terms: number[]; rows: Uint16Array[] } = { terms: [], rows: [] }
  for (let after = -(2 ** 31) - 1; ;) {
    const { rows } = await client.query<{ term: number; row: Buffer }>(loadSql('queries/basis'), [
      model.id,
      after,
    ])
    for (const { term, row } of rows) {
      pages.terms.push(term)
      pages.rows.push(parseHalfvecBinary(row))
      after = term
    }
    if (rows.length === 0) break
  }
  const basis = new Uint16Array(pages.terms.length * model.dimensions)
  pages.rows.forEach((row, at) => basis.set(row.subarray(0, model.dimensions), at * model.dimensions))
  return { terms: Int32Array.from(pages.terms), basis }
}

async function openVectors(
  model: ModelGeneration,
  basis: Basis | null,
  loaded: Generation | undefined,
  openSentenceModel: OpenSentenceModel,
): Promise<NonNullable<Generation['vectors']>> {
  const known = loaded?.vectors ?? null
  if (known !== null && known.model.fingerprint === model.fingerprint) {
    return { model, embedder: known.embedder }
  }
  if (basis === null) return { model, embedder: await openSentenceModel(model) }
  return { model, embedder: createLsaEmbedder({ ...basis, dimensions: model.dimensions, generation: model }) }
}
