import type { ModelGeneration } from '../../core/embed/embedder.ts'
import type { LsaBasis } from '../../core/embed/lsa.ts'
import { HomeportError } from '../../core/errors.ts'
import type { SourceRow } from '../search/engine.ts'
import type { WeighedTerm, WordStatistics } from '../search/terms.ts'
import { Column } from './column.ts'
import { Lexicon } from './lexicon.ts'
import type { Pause } from './pause.ts'
import { addScores, emptyPostings, mergePostings, mostRows, type Postings } from './postings.ts'
import { RowStore } from './row-store.ts'
import { dotHalves, inverseLength, scanNearest } from './scan-engine.ts'
import { TermTail } from './term-tail.ts'
import type { Nearest } from './top-k.ts'
import type { VectorTable } from './vector-engine.ts'

/** A segment as it was read from the cloud. */
export interface SegmentRecord {
  id: string
  changeSeq: number
  /** As `encodeRow` made it. */
  row: Uint8Array
  /** Null while its words have not arrived. */
  words: { terms: ArrayLike<number>; counts: ArrayLike<number>; length: number } | null
  /** The bits of its halves; null while it has no vector of the collection's generation. */
  vector: { halves: Uint16Array; changeSeq: number } | null
}

export interface Statistics extends WordStatistics {
  lexicon: Lexicon
  /** When the counts were made at home, ms since 1970; 0 when there are none. */
  countedAtMs: number
}

export interface Sources {
  byId: ReadonlyMap<string, SourceRow>
  /** Of their change sequence numbers: what the cloud's are compared with. */
  sum: bigint
}

/** What a collection is as a whole, beside its rows. */
export interface CollectionFrame {
  generation: ModelGeneration | null
  /** The basis of a lexical generation. */
  basis: LsaBasis | null
  sources: Sources
  statistics: Statistics
  asOf: Date
}

/** How many change sequence numbers above a bound there are, and their sum. */
export interface Check {
  count: number
  sum: bigint
}

export const emptyStatistics: Statistics = {
  documents: 0,
  averageLength: 0,
  countedAtMs: 0,
  lexicon: new Lexicon(new Int32Array(0), new Int32Array(0)),
}

/**
 * All that is searched, in memory: a base of rows that an engine and the postings were built for, and a tail
 * of rows that came since, which are looked at one by one. A row that changed is a dead row and a new one.
 */
export class Collection {
  generation: ModelGeneration | null
  basis: LsaBasis | null
  readonly dimensions: number
  sources: Sources
  statistics: Statistics
  /** The home database's clock when this was surely all there was. */
  asOf: Date
  /** Grows with every change of what would be answered. */
  version = 0

  ids: string[] = []
  base = 0
  baseHalves = new Uint16Array(0)
  postings: Postings = emptyPostings()
  tail = new TermTail(0)
  tailHalves = new Column((length) => new Uint16Array(length))
  rows = new RowStore()
  readonly alive = new Column((length) => new Uint8Array(length))
  readonly changeSeqs = new Column((length) => new Float64Array(length))
  /** 0 for a row without a vector. */
  readonly vectorSeqs = new Column((length) => new Float64Array(length))
  readonly inverseLengths = new Column((length) => new Float32Array(length))
  /** Words of each row; a row whose words have not arrived has none. */
  readonly lengths = new Column((length) => new Uint32Array(length))
  readonly wordless = new Set<string>()
  readonly #positions = new Map<string, number>()

  constructor(frame: CollectionFrame) {
    this.generation = frame.generation
    this.basis = frame.basis
    this.dimensions = frame.generation?.dimensions ?? 0
    this.sources = frame.sources
    this.statistics = frame.statistics
    this.asOf = frame.asOf
  }

  /** Segments that can be found. */
  get size(): number {
    return this.#positions.size
  }

  /** Rows, dead ones included. */
  get rowCount(): number {
    return this.ids.length
  }

  get deadCount(): number {
    return this.rowCount - this.size
  }

  has(id: string): boolean {
    return this.#positions.has(id)
  }

  isAlive(position: number): boolean {
    return this.alive.values[position] === 1
  }

  /** Adds a segment, or replaces it when anything of it changed. @throws HomeportError MEMORY_FULL */
  put(record: SegmentRecord): void {
    const held = this.#positions.get(record.id)
    if (held !== undefined) {
      const same =
        this.changeSeqs.values[held] === record.changeSeq &&
        this.vectorSeqs.values[held] === (record.vector?.changeSeq ?? 0) &&
        this.wordless.has(record.id) === (record.words === null)
      if (same) return
      this.remove(record.id)
    }
    this.#append(record)
  }

  remove(id: string): void {
    const position = this.#positions.get(id)
    if (position === undefined) return
    this.#positions.delete(id)
    this.wordless.delete(id)
    this.alive.values[position] = 0
    this.version++
  }

  #append(record: SegmentRecord): void {
    const position = this.rowCount
    if (position >= mostRows) {
      throw new HomeportError('MEMORY_FULL', `the in-memory index holds at most ${mostRows} rows`)
    }
    const { words, vector } = record
    if (vector !== null && vector.halves.length !== this.dimensions) {
      throw new HomeportError('VECTOR_INVALID', `a stored vector has ${vector.halves.length} dimensions`, {
        hint: 'run ops monitor --once on the machine at home',
      })
    }
    this.ids.push(record.id)
    this.#positions.set(record.id, position)
    this.alive.push(1)
    this.changeSeqs.push(record.changeSeq)
    this.vectorSeqs.push(vector?.changeSeq ?? 0)
    this.inverseLengths.push(vector === null ? 0 : inverseLength(vector.halves, 0, this.dimensions))
    this.tailHalves.append(vector?.halves ?? new Uint16Array(this.dimensions))
    this.lengths.push(words?.length ?? 0)
    this.tail.push(words?.terms ?? [], words?.counts ?? [])
    this.rows.push(record.row)
    if (words === null) this.wordless.add(record.id)
    this.version++
  }

  /** BM25 of every row, into `scores`, which holds zeros and is `rowCount` long. */
  scoreWords(terms: readonly WeighedTerm[], scores: Float64Array): void {
    const { averageLength } = this.statistics
    for (const term of terms) {
      addScores(this.postings, term, this.lengths.values, averageLength, scores)
      this.tail.addScores(term, this.lengths.values, averageLength, scores)
    }
  }

  /** Cosine of a unit query and a row; 0 for a row without a vector. */
  cosine(query: Float32Array, position: number): number {
    const scale = this.inverseLengths.values[position]!
    if (scale === 0) return 0
    return position < this.base
      ? dotHalves(query, this.baseHalves, position * this.dimensions) * scale
      : dotHalves(query, this.tailHalves.values, (position - this.base) * this.dimensions) * scale
  }

  /** The vectors of the base, for an engine. Never changed. */
  baseTable(): VectorTable {
    return {
      dimensions: this.dimensions,
      count: this.base,
      halves: this.baseHalves,
      inverseLengths: this.inverseLengths.values.slice(0, this.base),
    }
  }

  /** The nearest living rows of the tail. */
  nearestInTail(query: Float32Array, k: number): Nearest {
    const table: VectorTable = {
      dimensions: this.dimensions,
      count: this.rowCount - this.base,
      halves: this.tailHalves.values,
      inverseLengths: this.inverseLengths.values.subarray(this.base),
    }
    const found = scanNearest(table, query, k, (row) => this.isAlive(this.base + row))
    return { positions: found.positions.map((row) => this.base + row), scores: found.scores }
  }

  /** Living rows with their change sequence number above `low`, of the segment or of its vector. */
  *changedAfter(low: number, of: 'segments' | 'embeddings'): Iterable<[id: string, changeSeq: number]> {
    const { values } = of === 'segments' ? this.changeSeqs : this.vectorSeqs
    for (let position = 0; position < this.rowCount; position++) {
      if (values[position]! > low && this.isAlive(position)) yield [this.ids[position]!, values[position]!]
    }
  }

  /** The same, counted and summed. */
  check(low: number, of: 'segments' | 'embeddings'): Check {
    const { values } = of === 'segments' ? this.changeSeqs : this.vectorSeqs
    let count = 0
    let sum = 0n
    let part = 0
    for (let position = 0; position < this.rowCount; position++) {
      const seq = values[position]!
      // Above 0: no vector is 0, and no sequence starts below 1.
      if (seq <= Math.max(low, 0) || !this.isAlive(position)) continue
      count++
      part += seq
      // Doubles add whole numbers exactly up to 2^53.
      if (part > 2 ** 52) {
        sum += BigInt(part)
        part = 0
      }
    }
    return { count, sum: sum + BigInt(part) }
  }

  /** The same content without dead rows and with an empty tail. This one stays usable and must not change meanwhile. */
  async compact(pause: Pause): Promise<Collection> {
    const made = new Collection(this)
    const newRows = new Int32Array(this.rowCount).fill(-1)
    const halves = new Uint16Array(this.size * this.dimensions)
    for (let position = 0; position < this.rowCount; position++) {
      if (!this.isAlive(position)) continue
      const row = made.ids.length
      newRows[position] = row
      made.#adopt(this, position)
      const [from, at] =
        position < this.base ? [this.baseHalves, position] : [this.tailHalves.values, position - this.base]
      halves.set(from.subarray(at * this.dimensions, (at + 1) * this.dimensions), row * this.dimensions)
      if (this.deadCount > 0) made.rows.push(this.rows.bytes(position))
      if ((position & 0xff) === 0) await pause()
    }
    // Rows are only ever added to, so two collections can share them while one of them is still in use.
    if (this.deadCount === 0) made.rows = this.rows
    made.base = made.rowCount
    made.baseHalves = halves
    made.tail = new TermTail(made.base)
    made.postings = await mergePostings(this.postings, this.tail, newRows, pause)
    made.version = this.version
    return made
  }

  #adopt(other: Collection, position: number): void {
    const id = other.ids[position]!
    this.#positions.set(id, this.ids.length)
    this.ids.push(id)
    this.alive.push(1)
    this.changeSeqs.push(other.changeSeqs.values[position]!)
    this.vectorSeqs.push(other.vectorSeqs.values[position]!)
    this.inverseLengths.push(other.inverseLengths.values[position]!)
    this.lengths.push(other.lengths.values[position]!)
    if (other.wordless.has(id)) this.wordless.add(id)
  }

  /** Fills the lookup by id after the columns were set from a snapshot. */
  index(): void {
    this.ids.forEach((id, position) => {
      if (this.isAlive(position)) this.#positions.set(id, position)
    })
  }
}
