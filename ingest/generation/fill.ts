import { setImmediate as nextTick } from 'node:timers/promises'
import { CopyEncoder } from '../store/copy-encoder.ts'
import { confirmIngestLock } from '../store/lock.ts'
import { decodeIntArray, type CopyFields } from '../store/copy-decoder.ts'
import type { Primary } from '../store/primary.ts'
import { encodeEmbedding } from '../store/source-rows.ts'
import type { Embeddable, GenerationVectors } from './model.ts'

/** Segments a transaction: what a crash costs at most, and what is held in memory. */
const batchSegments = { terms: 10_000, text: 512 } as const

export interface FillOptions {
  primary: Primary
  vectors: GenerationVectors
  /** Stops between two batches; what is written stays and is not made again. */
  signal: AbortSignal
  onProgress: (done: number, total: number) => void
}

interface Missing extends Embeddable {
  id: string
  visibility: string
}

/** Gives every segment that lacks one its vector of a generation. @returns how many it wrote */
export async function fillVectors(options: FillOptions): Promise<number> {
  const { primary, vectors, signal, onProgress } = options
  const [counted] = await primary.rows<{ missing: number }>('ingest/count-missing', [vectors.modelId])
  const total = counted?.missing ?? 0
  let done = 0
  while (done < total) {
    signal.throwIfAborted()
    const batch = await readMissing(primary, vectors)
    if (batch.length === 0) break
    await primary.transaction(async (statements) => {
      await confirmIngestLock(statements)
      await statements.copyIn('ingest/copy-embeddings', embedInPieces(vectors, batch))
    })
    done += batch.length
    onProgress(done, total)
  }
  return done
}

async function readMissing(primary: Primary, vectors: GenerationVectors): Promise<Missing[]> {
  const byTerms = vectors.reads === 'terms'
  const numbers = { model: vectors.modelId, limit: batchSegments[vectors.reads] }
  const missing: Missing[] = []
  const name = byTerms ? 'ingest/missing-terms' : 'ingest/missing-texts'
  for await (const rows of primary.copyOut(name, numbers)) {
    for (const row of rows) missing.push(byTerms ? withTerms(row) : withText(row))
  }
  return missing
}

/** Segments a piece: while the database takes one in, the next one is made. */
const pieceSegments = 256

async function* embedInPieces(vectors: GenerationVectors, batch: readonly Missing[]): AsyncGenerator<Buffer> {
  const rows = new CopyEncoder()
  for (let from = 0; from < batch.length; from += pieceSegments) {
    const segments = batch.slice(from, from + pieceSegments)
    const made = await vectors.embed(segments)
    segments.forEach(({ id, visibility }, at) => {
      encodeEmbedding(rows, vectors.modelId, { id, visibility, embedding: made[at] ?? new Uint16Array(0) })
    })
    yield rows.take(from + pieceSegments >= batch.length)
    // A stream asks again at once when it has room: let the signal and the socket have their turn.
    await nextTick()
  }
}

function withTerms([id, visibility, terms, counts]: CopyFields): Missing {
  return {
    ...identity(id, visibility),
    text: '',
    terms: {
      terms: terms ? decodeIntArray(terms) : [],
      counts: counts ? decodeIntArray(counts) : [],
    },
  }
}

function withText([id, visibility, text]: CopyFields): Missing {
  return {
    ...identity(id, visibility),
    text: text?.toString('utf8') ?? '',
    terms: { terms: [], counts: [] },
  }
}

function identity(
  id: Buffer | null | undefined,
  visibility: Buffer | null | undefined,
): Pick<Missing, 'id' | 'visibility'> {
  return { id: id?.readBigInt64BE(0).toString() ?? '', visibility: visibility?.toString('latin1') ?? '' }
}
