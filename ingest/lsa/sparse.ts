import { addRows, inBlocks, type Breathe, type Dense } from './dense.ts'
import type { TermCountStore } from './term-counts.ts'
import type { Vocabulary } from './vocabulary.ts'

/** A sparse matrix in compressed rows: a row a document, a column a term. */
export interface Sparse {
  rows: number
  columns: number
  /** Where row r starts in `column` and `value`; one more entry than rows. */
  start: Uint32Array
  column: Uint32Array
  value: Float32Array
}

/**
 * The square root of each count times the term's idf, for the chosen documents; every row of length 1, so
 * that a long document shapes the basis no more than a short one.
 */
export function weightedMatrix(
  store: TermCountStore,
  vocabulary: Vocabulary,
  chosen: readonly number[],
): Sparse {
  const most = chosen.reduce((sum, document) => sum + store.termsOf(document), 0)
  const column = new Uint32Array(most)
  const value = new Float32Array(most)
  const start = new Uint32Array(chosen.length + 1)
  let length = 0
  chosen.forEach((document, row) => {
    store.forEachTerm(document, (term, count) => {
      const position = vocabulary.position.get(term)
      if (position === undefined) return
      column[length] = position
      value[length] = Math.sqrt(count) * vocabulary.idf[position]!
      length++
    })
    scaleToUnit(value.subarray(start[row], length))
    start[row + 1] = length
  })
  return {
    rows: chosen.length,
    columns: vocabulary.terms.length,
    start,
    column: column.subarray(0, length),
    value: value.subarray(0, length),
  }
}

function scaleToUnit(row: Float32Array): void {
  const length = Math.sqrt(row.reduce((sum, part) => sum + part * part, 0))
  if (length > 0) for (let at = 0; at < row.length; at++) row[at]! /= length
}

/** The same matrix with a row a term. */
export function transpose({ rows, columns, start, column, value }: Sparse): Sparse {
  const turned: Sparse = {
    rows: columns,
    columns: rows,
    start: new Uint32Array(columns + 1),
    column: new Uint32Array(column.length),
    value: new Float32Array(value.length),
  }
  for (const term of column) turned.start[term + 1]!++
  for (let term = 0; term < columns; term++) turned.start[term + 1]! += turned.start[term]!
  const next = turned.start.slice()
  for (let row = 0; row < rows; row++) {
    for (let at = start[row]!; at < start[row + 1]!; at++) {
      const to = next[column[at]!]!++
      turned.column[to] = row
      turned.value[to] = value[at]!
    }
  }
  return turned
}

/** sparse x right, written over `product`. */
export async function multiply(
  sparse: Sparse,
  right: Dense,
  product: Dense,
  breathe: Breathe,
): Promise<void> {
  const { start, column, value } = sparse
  const sums = new Float64Array(right.columns)
  await inBlocks(sparse.rows, breathe, (from, to) => {
    for (let row = from; row < to; row++) {
      sums.fill(0)
      const [first, end] = [start[row]!, start[row + 1]!]
      addRows(sums, right, column.subarray(first, end), value.subarray(first, end))
      product.values.set(sums, row * right.columns)
    }
  })
}
