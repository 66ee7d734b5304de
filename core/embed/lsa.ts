import { createHash } from 'node:crypto'
import { HomeportError } from '../errors.ts'
import { halves, normalise, toHalf } from '../vector.ts'
import { countTerms, queryTerms } from '../words.ts'
import type { Embedder, ModelGeneration } from './embedder.ts'

/** The fitted basis of a lexical generation: the rows of `model_terms`. */
export interface LsaBasis {
  dimensions: number
  /** The terms of the basis's rows, in the order of `model_terms`: ascending. */
  terms: Int32Array
  /** A row a term, `dimensions` wide: half-precision numbers, or (a Uint16Array) their bits. */
  basis: Float32Array | Uint16Array
}

/** What is embedded: a text's distinct terms with their counts. */
export interface EmbeddableCounts {
  terms: ArrayLike<number>
  counts: ArrayLike<number>
}

/** An embedder that also takes what is already counted. Lexical: it knows which words keep company, no more. */
export interface LsaEmbedder extends Embedder {
  readonly kind: 'lsa'
  embedCounts(document: EmbeddableCounts): Float32Array
}

/** sha256, hex, over everything that decides a vector: the method's version, the terms and the basis's halves. */
export function lsaFingerprint({ dimensions, terms, basis }: LsaBasis): string {
  const hash = createHash('sha256').update(`lsa 1 ${dimensions} ${terms.length}\n`)
  const bytes = Buffer.alloc(4 + 2 * dimensions)
  terms.forEach((term, row) => {
    bytes.writeInt32BE(term, 0)
    for (let at = 0; at < dimensions; at++) {
      const value = basis[row * dimensions + at]!
      bytes.writeUInt16BE(basis instanceof Uint16Array ? value : toHalf(value), 4 + 2 * at)
    }
    hash.update(bytes)
  })
  return hash.digest('hex')
}

/**
 * The embedder of a fitted generation. A text's vector is the sum over its terms of the square root of the
 * count times the term's row, of unit length; zero when the basis knows none of its words.
 *
 * @throws HomeportError GENERATION_MISMATCH when the basis is not the one the generation was made with.
 */
export function createLsaEmbedder(
  options: LsaBasis & { generation: Pick<ModelGeneration, 'fingerprint' | 'dimensions'> },
): LsaEmbedder {
  const { generation, dimensions, terms, basis } = options
  const whole = dimensions === generation.dimensions && basis.length === terms.length * dimensions
  if (!whole || lsaFingerprint(options) !== generation.fingerprint) {
    throw new HomeportError('GENERATION_MISMATCH', 'the basis is not that of the embedding generation', {
      hint: 'wait until replication has caught up, or run ops monitor --once to see what differs',
    })
  }
  const rows = new Map<number, number>()
  terms.forEach((term, row) => rows.set(term, row))
  const table = basis instanceof Uint16Array ? halves() : undefined
  const sums = new Float64Array(dimensions)

  const embedCounts = (document: EmbeddableCounts): Float32Array => {
    sums.fill(0)
    for (let at = 0; at < document.terms.length; at++) {
      const row = rows.get(document.terms[at]!)
      if (row === undefined) continue
      const factor = Math.sqrt(document.counts[at] ?? 0)
      const base = row * dimensions
      if (table === undefined) {
        for (let to = 0; to < dimensions; to++) sums[to]! += factor * basis[base + to]!
      } else {
        for (let to = 0; to < dimensions; to++) sums[to]! += factor * table[basis[base + to]!]!
      }
    }
    return normalise(Float32Array.from(sums))
  }
  return {
    kind: 'lsa',
    dimensions,
    fingerprint: generation.fingerprint,
    embedCounts,
    embedQuery: async (text) => embedCounts(queryTerms(text)),
    embedSegments: async (texts) => texts.map((text) => embedCounts(countTerms(text))),
    close: async () => {},
  }
}
