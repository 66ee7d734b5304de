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
        let rest = values[base + column]!
        for (let before = 0; before < column; before++) rest -= row[before]! * lower[lowerBase + before]!
        row[column] = pivot === 0 ? 0 : rest / pivot
      }
      values.set(row, base)
    }
  })
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
