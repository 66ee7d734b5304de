/** A dense matrix, row after row. */
export interface Dense {
  rows: number
  columns: number
  values: Float32Array
}

/** Called between blocks of rows, so that a long fit leaves the event loop free. */
export type Breathe = () => Promise<void>

export const blockRows = 1_024

export function dense(rows: number, columns: number): Dense {
  return { rows, columns, values: new Float32Array(rows * columns) }
}

/** Runs `work` over blocks of rows with a breath between them. */
export async function inBlocks(
  rows: number,
  breathe: Breathe,
  work: (from: number, to: number) => void,
): Promise<void> {
  for (let from = 0; from < rows; from += blockRows) {
    work(from, Math.min(from + blockRows, rows))
    await breathe()
  }
}

/** Rows that are added up at a time: what they are added to is loaded and stored once for all of them. */
const together = 4

/** Adds rows of a matrix, each times a factor, to `sums`. */
export function addRows(
  sums: Float64Array,
  { columns, values }: Dense,
  rows: ArrayLike<number>,
  factors: ArrayLike<number>,
): void {
  const count = rows.length
  let at = 0
  for (; at + together <= count; at += together) {
    const base0 = rows[at]! * columns
    const base1 = rows[at + 1]! * columns
    const base2 = rows[at + 2]! * columns
    const base3 = rows[at + 3]! * columns
    const factor0 = factors[at]!
    const factor1 = factors[at + 1]!
    const factor2 = factors[at + 2]!
    const factor3 = factors[at + 3]!
    for (let column = 0; column < columns; column++) {
      sums[column]! +=
        factor0 * values[base0 + column]! +
        factor1 * values[base1 + column]! +
        (factor2 * values[base2 + column]! + factor3 * values[base3 + column]!)
    }
  }
  for (; at < count; at++) {
    const base = rows[at]! * columns
    const factor = factors[at]!
    for (let column = 0; column < columns; column++) sums[column]! += factor * values[base + column]!
  }
}

/** The inner products of a matrix's columns (columns x columns, both triangles). */
export async function gram(matrix: Dense, breathe: Breathe): Promise<Float64Array> {
  const { columns, values } = matrix
  const products = new Float64Array(columns * columns)
  const block = new Float64Array(together * columns)
  await inBlocks(matrix.rows, breathe, (from, to) => {
    for (let at = from; at < to; at += together) {
      // Past the last row of the block there are zeros.
      block.fill(0)
      block.set(values.subarray(at * columns, Math.min(at + together, to) * columns))
      addProducts(products, block, columns)
    }
  })
  for (let left = 0; left < columns; left++) {
    for (let right = 0; right < left; right++) {
      products[left * columns + right] = products[right * columns + left]!
    }
  }
  return products
}

/** Adds the products of the columns of four rows to the upper triangle. */
function addProducts(products: Float64Array, block: Float64Array, columns: number): void {
  const row1 = columns
  const row2 = 2 * columns
  const row3 = 3 * columns
  for (let left = 0; left < columns; left++) {
    const factor0 = block[left]!
    const factor1 = block[row1 + left]!
    const factor2 = block[row2 + left]!
    const factor3 = block[row3 + left]!
    const base = left * columns
    for (let right = left; right < columns; right++) {
      products[base + right]! +=
        factor0 * block[right]! +
        factor1 * block[row1 + right]! +
        (factor2 * block[row2 + right]! + factor3 * block[row3 + right]!)
    }
  }
}
