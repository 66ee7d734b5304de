/** Eigenvalues, largest first, with their vectors: column j of `vectors` (size x size, row after row). */
export interface Eigen {
  values: Float64Array
  vectors: Float64Array
}

const maxSweeps = 60

/**
 * Eigenvalues and vectors of a symmetric matrix by cyclic Jacobi rotations (Golub and Van Loan, "Matrix
 * Computations", 8.5): slow beside tridiagonal methods, never fails to converge, and exact enough to repeat.
 *
 * @param matrix size x size, row after row; overwritten
 */
export function eigenSymmetric(matrix: Float64Array, size: number): Eigen {
  // Rotations are kept transposed (a row a vector), so that every inner loop walks along a row.
  const rotations = new Float64Array(size * size)
  for (let at = 0; at < size; at++) rotations[at * size + at] = 1
  const scale = Math.sqrt(matrix.reduce((sum, value) => sum + value * value, 0))
  for (let sweep = 0; sweep < maxSweeps; sweep++) {
    let off = 0
    for (let p = 0; p < size; p++) for (let q = p + 1; q < size; q++) off += matrix[p * size + q]! ** 2
    if (Math.sqrt(off) <= 1e-12 * scale) break
    for (let p = 0; p < size; p++) for (let q = p + 1; q < size; q++) rotate(matrix, rotations, size, p, q)
  }
  return sorted(matrix, rotations, size)
}

function rotate(matrix: Float64Array, rotations: Float64Array, size: number, p: number, q: number): void {
  const apq = matrix[p * size + q]!
  if (apq === 0) return
  const app = matrix[p * size + p]!
  const aqq = matrix[q * size + q]!
  const theta = (aqq - app) / (2 * apq)
  const tangent = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1))
  const cosine = 1 / Math.sqrt(tangent * tangent + 1)
  const sine = tangent * cosine
  const rowP = p * size
  const rowQ = q * size
  for (let at = 0; at < size; at++) {
    const left = matrix[rowP + at]!
    const right = matrix[rowQ + at]!
    matrix[rowP + at] = cosine * left - sine * right
    matrix[rowQ + at] = sine * left + cosine * right
    const vectorLeft = rotations[rowP + at]!
    const vectorRight = rotations[rowQ + at]!
    rotations[rowP + at] = cosine * vectorLeft - sine * vectorRight
    rotations[rowQ + at] = sine * vectorLeft + cosine * vectorRight
  }
  // The matrix is symmetric: its columns are its rows, but for the 2 x 2 block itself.
  for (let at = 0; at < size; at++) {
    matrix[at * size + p] = matrix[rowP + at]!
    matrix[at * size + q] = matrix[rowQ + at]!
  }
  matrix[rowP + p] = app - tangent * apq
  matrix[rowQ + q] = aqq + tangent * apq
  matrix[rowP + q] = 0
  matrix[rowQ + p] = 0
}

function sorted(matrix: Float64Array, rotations: Float64Array, size: number): Eigen {
  const order = Array.from({ length: size }, (_, at) => at)
  const valueOf = (at: number) => matrix[at * size + at]!
  order.sort((left, right) => valueOf(right) - valueOf(left) || left - right)
  const vectors = new Float64Array(size * size)
  order.forEach((from, to) => {
    for (let at = 0; at < size; at++) vectors[at * size + to] = rotations[from * size + at]!
  })
  return { values: Float64Array.from(order, valueOf), vectors }
}
