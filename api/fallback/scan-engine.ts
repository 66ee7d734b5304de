import { fromHalves, halves, normalise, toHalves } from '../../core/vector.ts'
import { TopK, type Nearest } from './top-k.ts'
import type { VectorEngine, VectorTable } from './vector-engine.ts'

/**
 * The query as the database sees it, of unit length: rounded to halves like the stored vectors.
 *
 * @returns undefined for a vector of zeros, which is near nothing
 */
export function unitQuery(vector: Float32Array): Float32Array | undefined {
  const rounded = normalise(fromHalves(toHalves(vector)))
  return rounded.some((value) => value !== 0) ? rounded : undefined
}

/** Sum of products of a query and the halves that start at `offset`. */
export function dotHalves(query: Float32Array, bits: Uint16Array, offset: number): number {
  const table = halves()
  const whole = query.length & ~3
  let a = 0
  let b = 0
  let c = 0
  let d = 0
  let at = 0
  for (; at < whole; at += 4) {
    a += query[at]! * table[bits[offset + at]!]!
    b += query[at + 1]! * table[bits[offset + at + 1]!]!
    c += query[at + 2]! * table[bits[offset + at + 2]!]!
    d += query[at + 3]! * table[bits[offset + at + 3]!]!
  }
  for (; at < query.length; at++) a += query[at]! * table[bits[offset + at]!]!
  return a + b + c + d
}

/** 1 divided by the length of the vector whose halves start at `offset`; 0 for one of zeros. */
export function inverseLength(bits: Uint16Array, offset: number, dimensions: number): number {
  const table = halves()
  let squares = 0
  for (let at = offset; at < offset + dimensions; at++) squares += table[bits[at]!]! ** 2
  return squares > 0 ? 1 / Math.sqrt(squares) : 0
}

/** The `k` rows of largest cosine that have a vector and are accepted: every row is looked at. */
export function scanNearest(
  table: VectorTable,
  query: Float32Array,
  k: number,
  accepts?: (position: number) => boolean,
): Nearest {
  const top = new TopK(k)
  if (k <= 0) return top.best()
  for (let position = 0; position < table.count; position++) {
    const scale = table.inverseLengths[position]!
    if (scale === 0 || (accepts !== undefined && !accepts(position))) continue
    top.offer(position, dotHalves(query, table.halves, position * table.dimensions) * scale)
  }
  return top.best()
}

/** Plain typed arrays in this process: works everywhere, and blocks it for the length of a scan. */
export function createScanEngine(): VectorEngine {
  let held: VectorTable | undefined
  return {
    kind: 'scan',
    async load(table) {
      held = table
    },
    async search(query, k) {
      return held === undefined ? { positions: [], scores: [] } : scanNearest(held, query, k)
    },
    // Searches under way may still ask; the table goes with the last of them.
    async close() {},
  }
}
