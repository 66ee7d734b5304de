import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { inverseDocumentFrequency } from '../../core/bm25.ts'
import { createLsaEmbedder, lsaFingerprint, type LsaBasis, type LsaEmbedder } from '../../core/embed/lsa.ts'
import { fromHalves, toHalfvecBinary, toHalves } from '../../core/vector.ts'
import { countTerms, hashTerm, stemOf } from '../../core/words.ts'
import { insertStatistics, randomDirection } from '../support/content.ts'

const dimensions = 256
const vocabularySize = 30_000
const topicCount = 240
const wordsPerSegment = 220
const segmentsPerSource = 60
export const corpusModelId = 1

/** A random stream in [0, 1) that is the same in every run (mulberry32). */
export function randomStream(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const consonants = ['b', 'd', 'f', 'g', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'z']
const vowels = ['a', 'e', 'i', 'o', 'u']

/** A pronounceable word of its rank in the vocabulary: rarer words are longer. */
export function wordOfRank(rank: number): string {
  let rest = rank
  let word = ''
  do {
    word += (consonants[rest % 14] ?? '') + (vowels[Math.floor(rest / 14) % 5] ?? '')
    rest = Math.floor(rest / 70)
  } while (rest > 0)
  return `${word}x`
}

/** A rank drawn with probability about 1/rank (Zipf), from the inverse of the continuous distribution. */
function zipfRank(random: () => number): number {
  return Math.floor(vocabularySize ** random()) - 1
}

/** A segment's words: half from its topic's own share of the vocabulary, half from everybody's. */
function segmentWords(random: () => number): number[] {
  const topic = Math.floor(random() * topicCount)
  return Array.from({ length: wordsPerSegment }, () => {
    const rank = zipfRank(random)
    if (rank < 200 || random() < 0.5) return rank
    return Math.min(vocabularySize - 1, rank - (rank % topicCount) + topic)
  })
}

/** Questions of two to five words, as they stand near each other in some segment. */
export function benchQueries(count: number): string[] {
  const random = randomStream(7)
  return Array.from({ length: count }, () => {
    const words = segmentWords(random)
    const start = Math.floor(random() * 200)
    return words
      .slice(start, start + 2 + Math.floor(random() * 4))
      .map(wordOfRank)
      .join(' ')
  })
}

/** Fills a migrated, empty database with `segments` synthetic segments, their words, vectors and indexes. */
export async function fillCorpus(databaseUrl: string, segments: number): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await client.query(
      `insert into sources (id, kind, url, title, channel, duration_ms, visibility, transcript_method, processed_at)
       select id, 'video', 'https://www.youtube.com/watch?v=bench' || id, 'Talk ' || id, 'Bench', 3600000, 'public', 'captions-manual', now()
       from generate_series(0, $1::int) as id`,
      [Math.ceil(segments / segmentsPerSource)],
    )
    const basis = vocabularyBasis(segments)
    const fingerprint = lsaFingerprint(basis)
    const embedder = createLsaEmbedder({ ...basis, generation: { fingerprint, dimensions } })
    await client.query(
      `insert into models (id, name, kind, fingerprint, dimensions, words_weight, vector_weight, fitted_segments, state, activated_at)
       values (${corpusModelId}, 'lsa', 'lsa', $2, ${dimensions}, 0.8, 0.2, $1, 'active', now())`,
      [segments, fingerprint],
    )
    await copyBinary(client, 'model_terms (model_id, term, basis)', basisRows(basis))
    await copyRows(client, 'segments (id, source_id, visibility, ordinal, start_ms, end_ms, speaker, text, turns, word_starts_ms, engine)', segmentRows(segments)) // prettier-ignore
    await copyRows(
      client,
      'segment_terms (segment_id, visibility, terms, counts, length)',
      termRows(segments),
    )
    await copyBinary(
      client,
      'embeddings (model_id, segment_id, visibility, embedding, change_seq)',
      vectorRows(segments, embedder),
    )
    await insertStatistics(client)
    await client.query("insert into heartbeat values (1, 1, now(), '0/0')")
    await client.query(
      `set maintenance_work_mem = '512MB'; set max_parallel_maintenance_workers = 0;
       create index embeddings_model_${corpusModelId} on embeddings
       using hnsw ((embedding::halfvec(${dimensions})) halfvec_cosine_ops) where model_id = ${corpusModelId}`,
    )
    await client.query('vacuum analyze')
  } finally {
    await client.end()
  }
}

/** Each word leans towards its topic's direction, scaled by how much it tells. */
function vocabularyBasis(segments: number): LsaBasis {
  const topics = Array.from({ length: topicCount }, (_, topic) => randomDirection(1000 + topic, dimensions))
  const ranks = new Map<number, number>()
  for (let rank = 0; rank < vocabularySize; rank++) ranks.set(hashTerm(stemOf(wordOfRank(rank))), rank)
  const terms = Int32Array.from(ranks.keys()).sort()
  const basis = new Uint16Array(terms.length * dimensions)
  terms.forEach((term, row) => {
    const rank = ranks.get(term) ?? 0
    const topic = topics[rank % topicCount]
    const idf = inverseDocumentFrequency(segments, Math.min(segments, (segments * 20) / (rank + 1)))
    const lean = rank < 200 ? 0 : 1
    const own = randomDirection(rank, dimensions).map(
      (value, axis) => idf * 0.05 * (0.6 * value + lean * (topic?.[axis] ?? 0)),
    )
    basis.set(toHalves(own), row * dimensions)
  })
  return { dimensions, terms, basis }
}

function* textOf(segments: number): Generator<{ id: number; text: string }> {
  const random = randomStream(1)
  for (let id = 0; id < segments; id++) yield { id, text: segmentWords(random).map(wordOfRank).join(' ') }
}

function* segmentRows(segments: number): Generator<string> {
  const starts = Array.from({ length: wordsPerSegment }, (_, word) => word * 400).join(',')
  for (const { id, text } of textOf(segments)) {
    const ordinal = id % segmentsPerSource
    const startMs = ordinal * 60_000
    const turns = JSON.stringify([{ speaker: 'Ann', offset: 0, startMs }])
    yield `${id}\t${Math.floor(id / segmentsPerSource)}\tpublic\t${ordinal}\t${startMs}\t${startMs + 90_000}\tAnn\t${text}\t${turns}\t{${starts}}\tbench\n`
  }
}

function* termRows(segments: number): Generator<string> {
  for (const { id, text } of textOf(segments)) {
    const counted = countTerms(text)
    yield `${id}\tpublic\t{${counted.terms.join(',')}}\t{${counted.counts.join(',')}}\t${counted.length}\n`
  }
}

function* basisRows({ terms, basis }: LsaBasis): Generator<Buffer> {
  for (const [row, term] of terms.entries()) {
    const halves = basis.subarray(row * dimensions, (row + 1) * dimensions)
    yield binaryRow([int4(corpusModelId), int4(term), toHalfvecBinary(fromHalves(halves))])
  }
}

function* vectorRows(segments: number, embedder: LsaEmbedder): Generator<Buffer> {
  for (const { id, text } of textOf(segments)) {
    const vector = embedder.embedCounts(countTerms(text))
    yield binaryRow([int4(corpusModelId), int8(id), Buffer.from('public'), toHalfvecBinary(vector), int8(id)])
  }
}

async function copyRows(client: pg.Client, target: string, rows: Iterable<string>): Promise<void> {
  await pipeline(Readable.from(batches(rows)), client.query(copyFrom(`copy ${target} from stdin`)))
}

function* batches(rows: Iterable<string>): Generator<string> {
  let batch = ''
  for (const row of rows) {
    batch += row
    if (batch.length > 65_536) {
      yield batch
      batch = ''
    }
  }
  yield batch
}

async function copyBinary(client: pg.Client, target: string, rows: Iterable<Buffer>): Promise<void> {
  function* stream(): Generator<Buffer> {
    // https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
    yield Buffer.from('5047434f50590aff0d0a000000000000000000', 'hex')
    yield* rows
    yield Buffer.from('ffff', 'hex')
  }
  await pipeline(
    Readable.from(stream()),
    client.query(copyFrom(`copy ${target} from stdin with (format binary)`)),
  )
}

function binaryRow(fields: readonly Buffer[]): Buffer {
  const count = Buffer.alloc(2)
  count.writeInt16BE(fields.length)
  return Buffer.concat([count, ...fields.flatMap((field) => [int4(field.length), field])])
}

function int4(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeInt32BE(value)
  return buffer
}

function int8(value: number): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigInt64BE(BigInt(value))
  return buffer
}
