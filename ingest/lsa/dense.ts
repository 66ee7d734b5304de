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

/** The inner products of a matrix's columns (columns x columns, both triangles). */
export async function gram(matrix: Dense, breathe: Breathe): Promise<Float64Array> {
  const { columns, values } = matrix
  const products = new Float64Array(columns * columns)
  const row = new Float64Array(columns)
  await inBlocks(matrix.rows, breathe, (from, to) => {
    for (let at = from; at < to; at++) {
      row.set(values.subarray(at * columns, (at + 1) * columns))
      for (let left = 0; left < columns; left++) {
        const factor = row[left]!
        if (factor === 0) continue
        const base = left * columns
        for (let right = left; right < columns; right++) products[base + right]! += factor * row[right]!
      }
    }
  })
  for (let left = 0; left < columns; left++) {
    for (let right = 0; right < left; right++) {
      products[left * columns + right] = products[right * columns + left]!
    }
  }
  return products
}
