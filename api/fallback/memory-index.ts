import { errorCode, errorMessage, HomeportError } from '../../core/errors.ts'
import type { Embedder } from '../../core/embed/embedder.ts'
import type { Logger } from '../../core/log.ts'
import type { RankedHit, SearchAnswer, SearchEngine, SearchRequest } from '../search/engine.ts'
import { candidateDepth, compareIds, fuse, wordsOnly, type Candidate, type Fused } from '../search/fuse.ts'
import { weighTerms } from '../search/terms.ts'
import type { Collection } from './collection.ts'
import { unitQuery } from './scan-engine.ts'
import { TopK } from './top-k.ts'
import type { VectorEngine } from './vector-engine.ts'

/** A collection with what its generation's vectors are searched and asked with; both null when words decide alone. */
export interface Searchable {
  collection: Collection
  engine: VectorEngine | null
  embedder: Embedder | null
}

interface Found extends Candidate {
  position: number
}

/** Ranks what is in this process's memory, with the same scores and the same fusion as the database. */
export class MemoryIndex implements SearchEngine {
  readonly #log: Logger
  #held: Searchable | undefined

  constructor(log: Logger) {
    this.#log = log
  }

  get held(): Searchable | undefined {
    return this.#held
  }

  status(): { ready: boolean; segments: number } {
    const segments = this.#held?.collection.size ?? 0
    return { ready: segments > 0, segments }
  }

  /** Answers from this now on; searches under way end on what they began with. */
  use(held: Searchable): void {
    this.#held = held
  }

  /** @throws HomeportError MEMORY_NOT_READY when it holds nothing */
  async search(request: SearchRequest): Promise<SearchAnswer> {
    const held = this.#held
    if (held === undefined || held.collection.size === 0) {
      throw new HomeportError('MEMORY_NOT_READY', 'the in-memory index holds nothing yet', {
        hint: 'it fills itself from the cloud database, or from its last snapshot at start',
      })
    }
    request.signal?.throwIfAborted()
    const { collection } = held
    const { generation } = collection
    const depth = candidateDepth(request)
    const query = await this.#embed(held, request.query)
    const nearest = query === undefined ? [] : await nearestRows(held, query, depth)
    request.signal?.throwIfAborted()

    // From here on nothing waits, so no change of the collection can come between.
    const words = new Float64Array(collection.rowCount)
    collection.scoreWords(weighTerms(request.query, collection.statistics), words)
    const positions = new Set(nearest.filter((position) => collection.isAlive(position)))
    for (const position of bestByWords(collection, words, depth)) positions.add(position)
    const candidates: Found[] = Array.from(positions, (position) => ({
      position,
      segmentId: collection.ids[position]!,
      words: words[position]!,
      vector: query === undefined ? 0 : collection.cosine(query, position),
    }))
    const weights =
      held.embedder === null || generation === null
        ? wordsOnly
        : { words: generation.wordsWeight, vector: generation.vectorWeight }
    const ranked = fuse(candidates, weights)
    return {
      source: 'memory',
      hits: ranked
        .slice(request.offset, request.offset + request.limit)
        .flatMap((one) => toHit(collection, one)),
      total: ranked.length,
      model:
        query === undefined || generation === null
          ? null
          : { id: generation.id, name: generation.name, kind: generation.kind },
      asOf: collection.asOf,
    }
  }

  /** The query's vector; undefined when the model knows nothing of it, or there is none. */
  async #embed(held: Searchable, text: string): Promise<Float32Array | undefined> {
    if (held.embedder === null || held.engine === null) return undefined
    try {
      return unitQuery(await held.embedder.embedQuery(text))
    } catch (error) {
      // This is the last that can answer: half an answer is better than none.
      this.#log.warn({ code: errorCode(error), reason: errorMessage(error) }, 'words answer alone')
      return undefined
    }
  }
}

/** Positions of the `k` nearest living rows that have a vector. */
async function nearestRows(held: Searchable, query: Float32Array, k: number): Promise<number[]> {
  const { collection } = held
  const base = await nearestInBase(held, query, k)
  const tail = collection.nearestInTail(query, k)
  const top = new TopK(k, (a, b) => compareIds(collection.ids[a]!, collection.ids[b]!) < 0)
  for (const position of [...base, ...tail.positions]) top.offer(position, collection.cosine(query, position))
  return top.best().positions
}

/** The engine does not know which rows died: it is asked for more until enough of its answer is alive. */
async function nearestInBase(
  { collection, engine }: Searchable,
  query: Float32Array,
  k: number,
): Promise<number[]> {
  if (engine === null) return []
  for (let wanted = k; ; wanted *= 4) {
    const { positions } = await engine.search(query, wanted)
    const living = positions.filter(
      (position) => collection.isAlive(position) && collection.inverseLengths.values[position]! > 0,
    )
    if (living.length >= k || positions.length < wanted) return living.slice(0, k)
  }
}

function bestByWords(collection: Collection, scores: Float64Array, k: number): number[] {
  const top = new TopK(k, (a, b) => compareIds(collection.ids[a]!, collection.ids[b]!) < 0)
  for (let position = 0; position < scores.length; position++) {
    const score = scores[position]!
    if (score > 0 && collection.isAlive(position)) top.offer(position, score)
  }
  return top.best().positions
}

/** Nothing for a segment whose source has not arrived: the database, which joins them, shows it neither. */
function toHit(collection: Collection, found: Fused<Found>): RankedHit[] {
  const { sourceId, ...row } = collection.rows.read(found.position)
  const source = collection.sources.byId.get(sourceId)
  if (source === undefined) return []
  return [
    {
      segmentId: found.segmentId,
      score: found.score,
      scores: { words: found.words, vector: found.vector },
      row: { ...row, source },
    },
  ]
}
