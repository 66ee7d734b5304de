import type { ModelGeneration } from '../../core/embed/embedder.ts'
import type { SourceRow } from '../search/engine.ts'
import type { Marks } from './cloud-state.ts'
import { Collection } from './collection.ts'
import { Lexicon } from './lexicon.ts'
import { openPostings } from './postings.ts'
import {
  readSnapshotFile,
  refused,
  writeSnapshotFile,
  type Section,
  type SnapshotFile,
} from './snapshot-file.ts'
import { TermTail } from './term-tail.ts'

/** What the file says beside its arrays. */
interface Facts {
  model: ModelGeneration | null
  dimensions: number
  asOf: string
  watermark: Marks
  rows: number
  base: number
  basisTerms: number | null
  documents: number
  averageLength: number
  countedAtMs: number
  sourcesSum: string
}

/** Saves a collection, dead rows and tail as they are. It must not change meanwhile. */
export async function saveSnapshot(path: string, held: Collection, watermark: Marks): Promise<void> {
  const facts: Facts = {
    model: held.generation,
    dimensions: held.dimensions,
    asOf: held.asOf.toISOString(),
    watermark,
    rows: held.rowCount,
    base: held.base,
    basisTerms: held.basis?.terms.length ?? null,
    documents: held.statistics.documents,
    averageLength: held.statistics.averageLength,
    countedAtMs: held.statistics.countedAtMs,
    sourcesSum: String(held.sources.sum),
  }
  const basis = held.basis?.basis ?? new Uint16Array(0)
  const arrays: Record<ArrayName, ArrayBufferView> = {
    ids: BigInt64Array.from(held.ids, BigInt),
    alive: held.alive.view(),
    changeSeqs: held.changeSeqs.view(),
    vectorSeqs: held.vectorSeqs.view(),
    inverseLengths: held.inverseLengths.view(),
    lengths: held.lengths.view(),
    rowLengths: held.rows.lengths().subarray(0, held.rowCount),
    baseHalves: held.baseHalves,
    tailHalves: held.tailHalves.view(),
    terms: held.postings.terms,
    offsets: held.postings.offsets,
    entries: held.postings.entries,
    large: Float64Array.from([...held.postings.large].flat()),
    tailTerms: held.tail.terms.view(),
    tailCounts: held.tail.counts.view(),
    tailEnds: held.tail.ends.view(),
    lexiconTerms: held.statistics.lexicon.terms,
    lexiconDocuments: held.statistics.lexicon.documents,
    basisTerms: held.basis?.terms ?? new Int32Array(0),
    basis,
    sources: Buffer.from(JSON.stringify([...held.sources.byId.values()])),
    wordless: Buffer.from(JSON.stringify([...held.wordless])),
  }
  const sections: Section[] = Object.entries(arrays).map(([name, view]) => ({
    name,
    chunks: [bytesOf(view)],
  }))
  sections.push({ name: 'rows', chunks: rowBytes(held) })
  await writeSnapshotFile(path, sections, facts)
}

type ArrayName =
  | 'ids'
  | 'alive'
  | 'changeSeqs'
  | 'vectorSeqs'
  | 'inverseLengths'
  | 'lengths'
  | 'rowLengths'
  | 'baseHalves'
  | 'tailHalves'
  | 'terms'
  | 'offsets'
  | 'entries'
  | 'large'
  | 'tailTerms'
  | 'tailCounts'
  | 'tailEnds'
  | 'lexiconTerms'
  | 'lexiconDocuments'
  | 'basisTerms'
  | 'basis'
  | 'sources'
  | 'wordless'

function* rowBytes(held: Collection): Generator<Uint8Array> {
  for (let row = 0; row < held.rowCount; row++) yield held.rows.bytes(row)
}

/**
 * Loads what {@link saveSnapshot} saved; undefined when there is no file.
 *
 * @throws HomeportError SNAPSHOT_REFUSED before any byte of a damaged file is used.
 */
export async function loadSnapshot(
  path: string,
): Promise<{ collection: Collection; watermark: Marks } | undefined> {
  const file = await readSnapshotFile(path)
  if (file === undefined) return undefined
  const facts = file.facts as Facts
  const section = (name: ArrayName) => file.section(name)
  const { rows, dimensions, base } = facts
  const made = new Collection({
    generation: facts.model,
    basis:
      facts.basisTerms === null
        ? null
        : {
            dimensions,
            terms: array(section('basisTerms'), Int32Array, facts.basisTerms),
            basis: array(section('basis'), Uint16Array, facts.basisTerms * dimensions),
          },
    sources: { byId: readSourceRows(section('sources')), sum: BigInt(facts.sourcesSum) },
    statistics: {
      documents: facts.documents,
      averageLength: facts.averageLength,
      countedAtMs: facts.countedAtMs,
      lexicon: new Lexicon(
        array(section('lexiconTerms'), Int32Array),
        array(section('lexiconDocuments'), Int32Array),
      ),
    },
    asOf: new Date(facts.asOf),
  })
  if (made.dimensions !== dimensions) throw refused('its vectors are not of its model')
  made.ids = Array.from(array(section('ids'), BigInt64Array, rows), String)
  made.alive.append(array(section('alive'), Uint8Array, rows))
  made.changeSeqs.append(array(section('changeSeqs'), Float64Array, rows))
  made.vectorSeqs.append(array(section('vectorSeqs'), Float64Array, rows))
  made.inverseLengths.append(array(section('inverseLengths'), Float32Array, rows))
  made.lengths.append(array(section('lengths'), Uint32Array, rows))
  made.base = base
  made.baseHalves = array(section('baseHalves'), Uint16Array, base * dimensions)
  made.tailHalves.append(array(section('tailHalves'), Uint16Array, (rows - base) * dimensions))
  made.postings = readPostings(file)
  made.tail = new TermTail(base)
  made.tail.terms.append(array(section('tailTerms'), Int32Array))
  made.tail.counts.append(array(section('tailCounts'), Uint16Array, made.tail.terms.length))
  made.tail.ends.append(array(section('tailEnds'), Uint32Array, rows - base))
  for (const id of JSON.parse(section('wordless').toString('utf8')) as string[]) made.wordless.add(id)
  const rowLengths = array(section('rowLengths'), Uint32Array, rows)
  const bytes = file.section('rows')
  if (rowLengths.reduce((sum, length) => sum + length, 0) !== bytes.length)
    throw refused('its rows do not fit')
  made.rows.adopt(bytes, rowLengths)
  made.index()
  return { collection: made, watermark: facts.watermark }
}

function readPostings(file: SnapshotFile) {
  const terms = array(file.section('terms'), Int32Array)
  const offsets = array(file.section('offsets'), Uint32Array, terms.length + 1)
  const entries = array(file.section('entries'), Uint32Array, offsets.at(-1))
  const pairs = array(file.section('large'), Float64Array)
  const large = new Map<number, number>()
  for (let at = 0; at + 1 < pairs.length; at += 2) large.set(pairs[at]!, pairs[at + 1]!)
  return openPostings(terms, offsets, entries, large)
}

function readSourceRows(bytes: Buffer): Map<string, SourceRow> {
  const rows = JSON.parse(bytes.toString('utf8')) as (Omit<SourceRow, 'publishedAt'> & {
    publishedAt: string | null
  })[]
  return new Map(
    rows.map((row) => [
      row.id,
      { ...row, publishedAt: row.publishedAt === null ? null : new Date(row.publishedAt) },
    ]),
  )
}

interface ArrayKind<T> {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T
  readonly BYTES_PER_ELEMENT: number
}

/** The bytes as numbers, without copying. @throws HomeportError SNAPSHOT_REFUSED when they are not as many as they must be */
function array<T extends { length: number }>(bytes: Buffer, Kind: ArrayKind<T>, length?: number): T {
  const found = bytes.length / Kind.BYTES_PER_ELEMENT
  if (!Number.isInteger(found) || (length !== undefined && found !== length)) {
    throw refused('its parts do not fit each other')
  }
  return new Kind(bytes.buffer, bytes.byteOffset, found)
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}
