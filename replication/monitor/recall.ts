import type pg from 'pg'
import { loadSql } from '../../core/sql.ts'
import { planVectorIndex, readVectorIndexState } from '../vector-index.ts'
import type { MonitorSample } from './sample.ts'

/** As the api searches: measured is what visitors get. A test holds them to the api's own. */
export const searchIndexSettings = {
  'hnsw.ef_search': '100',
  'hnsw.iterative_scan': 'relaxed_order',
} as const

export interface RecallOptions {
  cloud: pg.Pool
  /** the same seed asks about the same vectors; default: another one at every look */
  seed?: number
  /** vectors that are looked for, at most (default 50) */
  queries?: number
  /** for all of them; what is not done by then is left out (default 60 s) */
  budgetMs?: number
  /** for one of them (default 20 s) */
  statementTimeoutMs?: number
  settings?: { readonly [Name in keyof typeof searchIndexSettings]: string }
  signal?: AbortSignal
}

/** With fewer a scan of all is as quick, and a share says little. */
const fewestVectors = 100
/** Equal texts have equal vectors: whichever of them is found is as near. */
const sameDistance = 1e-6

/**
 * The share of the ten nearest vectors of the active model that the cloud's index finds, against a scan of all, over
 * vectors taken at random from the model itself. Null when there is no index, or fewer than 100 public vectors.
 *
 * @throws the driver's error, as when one scan takes longer than `statementTimeoutMs`.
 */
export async function measureRecall(options: RecallOptions): Promise<MonitorSample['recall']> {
  const { cloud } = options
  const state = await readVectorIndexState(cloud)
  const active = state.models.find((model) => model.state === 'active')
  if (active === undefined || !planVectorIndex(state).present) return null
  const model = { id: active.id, dimensions: active.dimensions }
  const vectors = await chooseVectors(options, model.id)
  const { statementTimeoutMs = 20_000, settings = searchIndexSettings } = options
  const timeout = String(statementTimeoutMs)
  const nearest = loadSql('monitor/nearest', { model: model.id, dimensions: model.dimensions })
  const look = { ...options, nearest }
  const exact = await lookFor(look, vectors, [loadSql('monitor/by-every-row'), [timeout]])
  const indexed = [timeout, settings['hnsw.ef_search'], settings['hnsw.iterative_scan']]
  const compared = vectors.slice(0, exact.length)
  const found = await lookFor(look, compared, [loadSql('monitor/by-index'), indexed])
  const shares = found.map((distances, place) => recallOf(exact[place] ?? [], distances))
  if (shares.length === 0) return null
  const recallAt10 = shares.reduce((sum, share) => sum + share, 0) / shares.length
  return { model: model.id, recallAt10, queries: shares.length, at: new Date().toISOString() }
}

/** Pure: the share of the true neighbours that were found, by their distances, ascending. */
export function recallOf(exact: readonly number[], found: readonly number[]): number {
  if (exact.length === 0) return 1
  const farthest = (exact.at(-1) ?? 0) + sameDistance
  return Math.min(exact.length, found.filter((distance) => distance <= farthest).length) / exact.length
}

interface Vector {
  segment: string
  vector: string
}

async function chooseVectors(options: RecallOptions, model: number): Promise<Vector[]> {
  const { cloud, queries = 50, seed = Math.floor(Math.random() * 2 ** 32) } = options
  const { rows } = await cloud.query<{ first: string | null; last: string | null; rows: number }>(
    loadSql('monitor/vector-range'),
    [model, fewestVectors],
  )
  const range = rows[0]
  if (range === undefined || range.first === null || range.last === null || range.rows < fewestVectors)
    return []
  const ids = chooseIds({ first: BigInt(range.first), last: BigInt(range.last), count: queries, seed })
  const chosen = await cloud.query<Vector>(loadSql('monitor/some-vectors'), [model, ids.map(String)])
  return chosen.rows
}

/** Pure: ids between two, spread at random by the seed (mulberry32); ids are hashes, so that each row is as likely. */
export function chooseIds(from: { first: bigint; last: bigint; count: number; seed: number }): bigint[] {
  let state = from.seed >>> 0
  const random = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const span = from.last - from.first + 1n
  return Array.from({ length: from.count }, () => {
    const wide = (BigInt(random()) << 32n) | BigInt(random())
    return from.first + ((wide * span) >> 64n)
  })
}

/** The distances of the nearest ten of each vector, one after the other; of those only that fit into half the budget. */
async function lookFor(
  options: RecallOptions & { nearest: string },
  vectors: readonly Vector[],
  [setUp, values]: [setUp: string, values: string[]],
): Promise<number[][]> {
  const { cloud, nearest, signal, budgetMs = 60_000 } = options
  const endMs = performance.now() + budgetMs / 2
  const found: number[][] = []
  const session = await cloud.connect()
  try {
    await session.query('begin read only')
    await session.query(setUp, values)
    for (const { vector, segment } of vectors) {
      signal?.throwIfAborted()
      if (performance.now() > endMs) break
      const { rows } = await session.query<{ distance: number }>(nearest, [vector, segment])
      found.push(rows.map(({ distance }) => distance))
    }
    await session.query('rollback')
    session.release()
    return found
  } catch (error) {
    // A session whose transaction is broken is not for the next one.
    session.release(true)
    throw error
  }
}
