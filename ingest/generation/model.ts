import {
  createLsaEmbedder,
  type EmbeddableCounts,
  type LsaBasis,
  type LsaEmbedder,
} from '../../core/embed/lsa.ts'
import type { Embedder } from '../../core/embed/embedder.ts'
import { parseHalfvecBinary, toHalves } from '../../core/vector.ts'
import { CopyEncoder } from '../store/copy-encoder.ts'
import type { Statements } from '../store/primary.ts'
import type { GenerationRow, WantedModel } from './decide.ts'

/** The model the configuration names: fitted here, or a sentence model that is loaded already. */
export type ChosenModel = { kind: 'lsa' } | { kind: 'onnx'; name: string; embedder: Embedder }

export function toWantedModel(chosen: ChosenModel): WantedModel {
  return chosen.kind === 'lsa' ? chosen : { kind: 'onnx', fingerprint: chosen.embedder.fingerprint }
}

/** A segment as far as a vector depends on it. */
export interface Embeddable {
  text: string
  terms: EmbeddableCounts
}

/** Vectors of one generation, as half floats' bits. */
export interface GenerationVectors {
  modelId: number
  /** What it reads of a segment. */
  reads: 'text' | 'terms'
  embed(segments: readonly Embeddable[]): Promise<Uint16Array[]>
}

export function lsaVectors(modelId: number, embedder: LsaEmbedder): GenerationVectors {
  return {
    modelId,
    reads: 'terms',
    embed: async (segments) => segments.map(({ terms }) => toHalves(embedder.embedCounts(terms))),
  }
}

export function onnxVectors(modelId: number, embedder: Embedder): GenerationVectors {
  return {
    modelId,
    reads: 'text',
    embed: async (segments) => (await embedder.embedSegments(segments.map(({ text }) => text))).map(toHalves),
  }
}

/**
 * What makes vectors of a stored generation.
 *
 * @throws HomeportError GENERATION_MISMATCH when its stored basis is not whole.
 */
export async function loadGeneration(
  statements: Statements,
  row: GenerationRow,
  chosen: ChosenModel,
): Promise<GenerationVectors> {
  if (chosen.kind === 'onnx') return onnxVectors(row.id, chosen.embedder)
  const basis = await readBasis(statements, row)
  return lsaVectors(row.id, createLsaEmbedder({ ...basis, generation: row }))
}

async function readBasis(statements: Statements, row: GenerationRow): Promise<LsaBasis> {
  const terms: number[] = []
  const pieces: Uint16Array[] = []
  for await (const rows of statements.copyOut('ingest/model-terms', { model: row.id })) {
    const piece = new Uint16Array(rows.length * row.dimensions)
    rows.forEach(([term, basis], at) => {
      if (!term || !basis) return
      terms.push(term.readInt32BE(0))
      piece.set(parseHalfvecBinary(basis).subarray(0, row.dimensions), at * row.dimensions)
    })
    pieces.push(piece)
  }
  const basis = new Uint16Array(terms.length * row.dimensions)
  let at = 0
  for (const piece of pieces) {
    basis.set(piece, at)
    at += piece.length
  }
  return { dimensions: row.dimensions, terms: Int32Array.from(terms), basis }
}

const pieceBytes = 1 << 20

/** The rows of `model_terms`, in pieces. */
export async function* encodeBasis(
  modelId: number,
  { dimensions, terms, basis }: LsaBasis,
): AsyncGenerator<Buffer> {
  const rows = new CopyEncoder(pieceBytes)
  for (const [row, term] of terms.entries()) {
    const values = basis.subarray(row * dimensions, (row + 1) * dimensions)
    const halves = values instanceof Uint16Array ? values : toHalves(values)
    rows.row(3).int4(modelId).int4(term).halfvec(halves)
    if (rows.usedBytes >= pieceBytes / 2) yield rows.take(false)
  }
  yield rows.take(true)
}
