import { gram, inBlocks, type Breathe, type Dense } from './dense.ts'

/** A column whose own part is below this share of its length adds nothing but noise. */
const tiny = 1e-10

/**
 * Makes a matrix's columns orthonormal in place (Cholesky QR); a column that depends on those before it
 * becomes zero.
 */
export async function orthonormalise(matrix: Dense, breathe: Breathe): Promise<void> {
  const { columns, values } = matrix
  const lower = choleskyFactor(await gram(matrix, breathe), columns)
  const row = new Float64Array(columns)
  await inBlocks(matrix.rows, breathe, (from, to) => {
    for (let at = from; at < to; at++) {
      const base = at * columns
      for (let column = 0; column < columns; column++) {
        const lowerBase = column * columns
        const pivot = lower[lowerBase + column]!
        const rest = values[base + column]! - partialDot(row, lower, lowerBase, column)
        row[column] = pivot === 0 ? 0 : rest / pivot
      }
      values.set(row, base)
    }
  })
}

/** Of the first `length` numbers of `left` and those of `right` from `base` on; four sums, so that none waits for the last. */
function partialDot(left: Float64Array, right: Float64Array, base: number, length: number): number {
  let sum0 = 0
  let sum1 = 0
  let sum2 = 0
  let sum3 = 0
  let at = 0
  for (; at + 4 <= length; at += 4) {
    sum0 += left[at]! * right[base + at]!
    sum1 += left[at + 1]! * right[base + at + 1]!
    sum2 += left[at + 2]! * right[base + at + 2]!
    sum3 += left[at + 3]! * right[base + at + 3]!
  }
  for (; at < length; at++) sum0 += left[at]! * right[base + at]!
  return sum0 + sum1 + (sum2 + sum3)
}

/** The lower factor L of a positive semidefinite G = L x L'. A dependent column gets pivot 0. */
function choleskyFactor(products: Float64Array, size: number): Float64Array {
  const lower = new Float64Array(size * size)
  for (let column = 0; column < size; column++) {
    for (let row = column; row < size; row++) {
      let rest = products[row * size + column]!
      for (let before = 0; before < column; before++) {
        rest -= lower[row * size + before]! * lower[column * size + before]!
      }
      const whole = products[column * size + column]!
      if (row === column) lower[row * size + column] = rest <= tiny * whole ? 0 : Math.sqrt(rest)
      else {
        const pivot = lower[column * size + column]!
        lower[row * size + column] = pivot === 0 ? 0 : rest / pivot
      }
    }
  }
  return lower
}
