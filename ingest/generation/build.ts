import { createLsaEmbedder } from '../../core/embed/lsa.ts'
import { HomeportError } from '../../core/errors.ts'
import { fitLsa, type FittedLsa } from '../lsa/fit.ts'
import { decodeIntArray } from '../store/copy-decoder.ts'
import { confirmIngestLock } from '../store/lock.ts'
import type { Binding, Primary, Statements } from '../store/primary.ts'
import { encodeBasis, lsaVectors, onnxVectors, type ChosenModel, type GenerationVectors } from './model.ts'

/** How much words and vectors weigh together; measured on judged sets, see the README. */
const weights = { lsa: { words: 0.8, vector: 0.2 }, onnx: { words: 0.5, vector: 0.5 } } as const

/**
 * Begins a generation: a row in `models` in state building and, for a lexical one, its whole basis, in one
 * transaction, so that a row never stands for half a basis.
 */
export async function beginGeneration(options: {
  primary: Primary
  chosen: ChosenModel
  signal: AbortSignal
  onFit: (done: number, passes: number) => void
}): Promise<GenerationVectors> {
  const { primary, chosen, signal, onFit } = options
  if (chosen.kind === 'onnx') {
    const { embedder, name } = chosen
    const id = await primary.transaction((statements) =>
      insertModel(statements, [
        name,
        'onnx',
        embedder.fingerprint,
        embedder.dimensions,
        weights.onnx.words,
        weights.onnx.vector,
        null,
      ]),
    )
    return onnxVectors(id, embedder)
  }
  const fitted = await fitLsa({
    documents: publicDocuments(primary),
    onProgress: (done, passes) => {
      signal.throwIfAborted()
      onFit(done, passes)
    },
  })
  const id = await primary.transaction((statements) => insertBasis(statements, fitted))
  return lsaVectors(id, createLsaEmbedder({ ...fitted, generation: fitted }))
}

async function* publicDocuments(primary: Primary): AsyncGenerator<{ terms: Int32Array; counts: Int16Array }> {
  for await (const rows of primary.copyOut('ingest/public-terms')) {
    for (const [terms, counts] of rows) {
      if (!terms || !counts) continue
      yield { terms: decodeIntArray(terms), counts: Int16Array.from(decodeIntArray(counts)) }
    }
  }
}

async function insertBasis(statements: Statements, fitted: FittedLsa): Promise<number> {
  const id = await insertModel(statements, [
    'lsa',
    'lsa',
    fitted.fingerprint,
    fitted.dimensions,
    weights.lsa.words,
    weights.lsa.vector,
    fitted.fittedDocuments,
  ])
  await statements.copyIn('ingest/copy-model-terms', encodeBasis(id, fitted))
  return id
}

async function insertModel(statements: Statements, bindings: readonly Binding[]): Promise<number> {
  await confirmIngestLock(statements)
  const [model] = await statements.rows<{ id: number }>('ingest/insert-model', bindings)
  if (model === undefined) throw new HomeportError('MODEL_NOT_STORED', 'the new generation was not stored')
  return model.id
}
