import { setImmediate as nextTick } from 'node:timers/promises'
import { lsaFingerprint, type EmbeddableCounts } from '../../core/embed/lsa.ts'
import { halves, toHalf } from '../../core/vector.ts'
import { addRows, dense, gram, inBlocks, type Breathe, type Dense } from './dense.ts'
import { eigenSymmetric } from './eigen.ts'
import { orthonormalise } from './orthonormal.ts'
import { multiply, transpose, weightedMatrix } from './sparse.ts'
import { TermCountStore } from './term-counts.ts'
import { chooseVocabulary, type Vocabulary } from './vocabulary.ts'

export interface FitOptions {
  documents: Iterable<EmbeddableCounts> | AsyncIterable<EmbeddableCounts>
  maxDimensions?: number
  /** Decides the random start; the same documents and seed give the same bytes. */
  seed?: number
  onProgress?: (done: number, passes: number) => void
  /** Most documents the decomposition looks at, evenly spread. Statistics always cover all. */
  maxRows?: number
  maxTerms?: number
}

/** A lexical embedding fitted on a collection: what `models` and `model_terms` hold of it. */
export interface FittedLsa {
  dimensions: number
  /** Ascending. */
  terms: Int32Array
  /** A row a term, `dimensions` wide, idf folded in; every value is a half-precision number. */
  basis: Float32Array
  fittedDocuments: number
  /** sha256, hex. */
  fingerprint: string
}

const defaults = { maxDimensions: 256, seed: 20_260_101, maxRows: 20_000, maxTerms: 60_000 }
/** Columns beyond the wanted ones and rounds of refinement: Halko, Martinsson and Tropp 2011, 4.5. */
const oversampling = 10
const refinements = 1

/**
 * Latent semantic analysis: the right singular vectors of the matrix of square-root term counts times
 * BM25's idf, found by randomised subspace iteration (Halko, Martinsson and Tropp 2011, "Finding structure
 * with randomness"). Dimensions: a quarter of the documents, from 2 to `maxDimensions`.
 *
 * It never fails: dimensions that the documents cannot fill are zero.
 */
export async function fitLsa(options: FitOptions): Promise<FittedLsa> {
  const { maxDimensions, seed, maxRows, maxTerms } = { ...defaults, ...options }
  const store = new TermCountStore()
  for await (const document of options.documents) store.add(document)
  const dimensions = Math.max(2, Math.min(maxDimensions, Math.floor(store.documents / 4)))
  const vocabulary = chooseVocabulary(store, { maxTerms })

  const passes = 2 * refinements + 4
  let done = 0
  const pass = async <T>(work: Promise<T>): Promise<T> => {
    const result = await work
    options.onProgress?.(++done, passes)
    return result
  }
  const breathe: Breathe = () => nextTick()

  const matrix = weightedMatrix(store, vocabulary, evenlySpread(store.documents, maxRows))
  const width = Math.min(dimensions + oversampling, matrix.rows, matrix.columns)
  const transposed = transpose(matrix)
  const loadings = randomMatrix(matrix.columns, width, seed)
  const range = dense(matrix.rows, width)
  await pass(multiply(matrix, loadings, range, breathe))
  await orthonormalise(range, breathe)
  for (let round = 0; round < refinements; round++) {
    await pass(multiply(transposed, range, loadings, breathe))
    await pass(multiply(matrix, loadings, range, breathe))
    await orthonormalise(range, breathe)
  }
  await pass(multiply(transposed, range, loadings, breathe))
  const eigen = eigenSymmetric(await pass(gram(loadings, breathe)), width)
  await pass(rotateRows(loadings, eigen.vectors, eigen.values, breathe))

  const basis = finishBasis(loadings, vocabulary, dimensions)
  return {
    dimensions,
    terms: vocabulary.terms,
    basis,
    fittedDocuments: store.documents,
    fingerprint: lsaFingerprint({ dimensions, terms: vocabulary.terms, basis }),
  }
}

/** At most `most` of `count` positions, evenly spread. */
function evenlySpread(count: number, most: number): number[] {
  const chosen = Math.min(count, most)
  return Array.from({ length: chosen }, (_, at) => Math.floor((at * count) / chosen))
}

/** Uniform from -1 to 1, by the mulberry32 generator. */
function randomMatrix(rows: number, columns: number, seed: number): Dense {
  const matrix = dense(rows, columns)
  let state = seed | 0
  for (let at = 0; at < matrix.values.length; at++) {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    matrix.values[at] = ((mixed ^ (mixed >>> 14)) >>> 0) / 0x80000000 - 1
  }
  return matrix
}

/** Turns B into its right singular vectors: each row times the eigenvectors of B'B, over the singular values. */
async function rotateRows(
  matrix: Dense,
  vectors: Float64Array,
  eigenvalues: Float64Array,
  breathe: Breathe,
): Promise<void> {
  const { columns, values } = matrix
  const least = 1e-9 * Math.max(eigenvalues[0] ?? 0, 0)
  const scale = eigenvalues.map((value) => (value > least ? 1 / Math.sqrt(value) : 0))
  const turned = new Float64Array(columns)
  const rotation: Dense = { rows: columns, columns, values: Float32Array.from(vectors) }
  const all = Uint32Array.from({ length: columns }, (_, at) => at)
  await inBlocks(matrix.rows, breathe, (from, to) => {
    for (let row = from; row < to; row++) {
      turned.fill(0)
      addRows(turned, rotation, all, values.subarray(row * columns, (row + 1) * columns))
      for (let axis = 0; axis < columns; axis++) values[row * columns + axis] = turned[axis]! * scale[axis]!
    }
  })
}

/** Folds the idf in, fixes the signs, scales into the middle of the half-precision range and rounds to it. */
function finishBasis(loadings: Dense, vocabulary: Vocabulary, dimensions: number): Float32Array {
  const basis = new Float32Array(loadings.rows * dimensions)
  const peaks = new Float64Array(dimensions)
  for (let row = 0; row < loadings.rows; row++) {
    for (let column = 0; column < Math.min(dimensions, loadings.columns); column++) {
      const value = loadings.values[row * loadings.columns + column]! * vocabulary.idf[row]!
      basis[row * dimensions + column] = value
      // Of values that rounding alone tells apart, the first counts.
      if (Math.abs(value) > 1.001 * Math.abs(peaks[column]!)) peaks[column] = value
    }
  }
  // A power of two changes no digit of a value; the largest lands between 256 and 512.
  const peak = peaks.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const scale = peak === 0 ? 1 : 2 ** (8 - Math.floor(Math.log2(peak)))
  const signs = peaks.map((value) => (value < 0 ? -scale : scale))
  const table = halves()
  for (let at = 0; at < basis.length; at++) basis[at] = table[toHalf(basis[at]! * signs[at % dimensions]!)]!
  return basis
}
