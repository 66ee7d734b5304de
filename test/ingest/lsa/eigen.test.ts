import t from 'tap'
import { eigenSymmetric } from '../../../ingest/lsa/eigen.ts'

t.test('a known matrix', async (t) => {
  // Eigenvalues 3 and 1 with (1,1) and (1,-1).
  const { values, vectors } = eigenSymmetric(Float64Array.of(2, 1, 1, 2), 2)
  t.match([...values].map(Math.round), [3, 1])
  t.ok(Math.abs(vectors[0]! - vectors[2]!) < 1e-12 && Math.abs(vectors[1]! + vectors[3]!) < 1e-12)
})

t.test('matrix times vector is value times vector, and vectors are orthonormal', async (t) => {
  const size = 23
  const matrix = new Float64Array(size * size)
  for (let row = 0; row < size; row++) {
    for (let column = 0; column <= row; column++) {
      matrix[row * size + column] = matrix[column * size + row] = Math.sin(row * 7.3 + column * 3.1)
    }
  }
  const { values, vectors } = eigenSymmetric(matrix.slice(), size)
  let worst = 0
  for (let which = 0; which < size; which++) {
    for (let row = 0; row < size; row++) {
      let product = 0
      let inner = 0
      for (let at = 0; at < size; at++) {
        product += matrix[row * size + at]! * vectors[at * size + which]!
        inner += vectors[at * size + row]! * vectors[at * size + which]!
      }
      worst = Math.max(worst, Math.abs(product - values[which]! * vectors[row * size + which]!))
      worst = Math.max(worst, Math.abs(inner - (row === which ? 1 : 0)))
    }
  }
  t.ok(worst < 1e-9, `the largest deviation is ${worst}`)
  t.same(
    [...values],
    [...values].sort((a, b) => b - a),
    'largest first',
  )
})

t.test('a matrix of zeros and one of size 1', async (t) => {
  t.same([...eigenSymmetric(new Float64Array(9), 3).values], [0, 0, 0])
  t.same([...eigenSymmetric(Float64Array.of(5), 1).vectors], [1])
})
