import { createLsaEmbedder } from '../../core/embed/lsa.ts'
import type { Embedder } from '../../core/embed/embedder.ts'
import { errorCode, errorMessage, HomeportError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { OpenSentenceModel } from '../sentence-models.ts'
import type { Collection } from './collection.ts'
import { createFaissEngine } from './faiss-engine.ts'
import { createScanEngine } from './scan-engine.ts'
import type { VectorEngine } from './vector-engine.ts'

export interface EngineOptions {
  /** auto: FAISS where its addon works, else scan. */
  engine: 'auto' | 'faiss' | 'scan'
  snapshotPath: string
  log: Logger
}

/** The engine over the base of a collection; null where there are no vectors. The scan stands in for a FAISS that does not start. */
export async function openEngine(
  collection: Collection,
  options: EngineOptions,
): Promise<VectorEngine | null> {
  if (collection.generation === null) return null
  const table = collection.baseTable()
  if (options.engine !== 'scan' && table.count > 0) {
    const faiss = createFaissEngine({ path: options.snapshotPath, log: options.log })
    try {
      await faiss.load(table)
      return faiss
    } catch (error) {
      await faiss.close()
      const cause = error instanceof HomeportError ? error.cause : undefined
      const facts = { code: errorCode(error), reason: errorMessage(cause ?? error) }
      if (options.engine === 'faiss')
        options.log.error(facts, 'FAISS was asked for and does not start: scanning')
      else options.log.info(facts, 'FAISS does not start here: scanning')
    }
  }
  return openScan(collection)
}

/** The engine that starts at once. */
export async function openScan(collection: Collection): Promise<VectorEngine | null> {
  if (collection.generation === null) return null
  const scan = createScanEngine()
  await scan.load(collection.baseTable())
  return scan
}

/**
 * What embeds queries for a collection, to be closed after use; null where there are no vectors.
 *
 * @throws HomeportError GENERATION_MISMATCH while the basis is not whole, or when the embedder is of another
 * model; MODEL_NOT_HERE when a sentence model is needed and nobody hands one out
 */
export async function openEmbedder(
  { generation, basis }: Collection,
  openSentenceModel: OpenSentenceModel | undefined,
): Promise<Embedder | null> {
  if (generation === null) return null
  if (generation.kind === 'lsa') {
    if (basis === null) throw mismatch()
    return createLsaEmbedder({ ...basis, generation })
  }
  if (openSentenceModel === undefined) {
    throw new HomeportError(
      'MODEL_NOT_HERE',
      `the sentence model ${generation.name} is not set up on this machine`,
      {
        hint: 'set EMBEDDING_MODEL to the model that made the vectors',
      },
    )
  }
  const embedder = await openSentenceModel(generation)
  if (embedder.fingerprint !== generation.fingerprint || embedder.dimensions !== generation.dimensions) {
    await embedder.close()
    throw mismatch()
  }
  return embedder
}

function mismatch(): HomeportError {
  return new HomeportError('GENERATION_MISMATCH', 'queries cannot be embedded as the stored vectors were', {
    hint: 'wait until replication has caught up, or run ops monitor --once to see what differs',
  })
}
