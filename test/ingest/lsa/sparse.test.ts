import t from 'tap'
import { addRows, dense, gram } from '../../../ingest/lsa/dense.ts'
import { multiply, transpose, weightedMatrix } from '../../../ingest/lsa/sparse.ts'
import { TermCountStore } from '../../../ingest/lsa/term-counts.ts'

const breathe = () => Promise.resolve()
const vocabulary = {
  terms: Int32Array.of(-7, 5, 9),
  idf: Float64Array.of(1, 2, 3),
  position: new Map([
    [-7, 0],
    [5, 1],
    [9, 2],
  ]),
}

function store(): TermCountStore {
  const counts = new TermCountStore()
  counts.add({ terms: [-7, 4, 5], counts: [16, 50, 1] })
  counts.add({ terms: [], counts: [] })
  counts.add({ terms: [4], counts: [2] })
  counts.add({ terms: [9], counts: [4] })
  return counts
}

t.test('square roots of counts times idf, in rows of length 1, for the chosen documents', async (t) => {
  const matrix = weightedMatrix(store(), vocabulary, [0, 1, 3])
  t.match(matrix, { rows: 3, columns: 3 })
  t.same([...matrix.start], [0, 2, 2, 3])
  t.same([...matrix.column], [0, 1, 2])
  const length = Math.hypot(4 * 1, 1 * 2)
  t.same([...matrix.value], [4 / length, 2 / length, 1].map(Math.fround))
})

t.test('products with a dense matrix', async (t) => {
  const matrix = { ...weightedMatrix(store(), vocabulary, [0, 1, 3]), value: Float32Array.of(1, 2, 3) }
  const right = { rows: 3, columns: 2, values: Float32Array.of(1, 2, 3, 4, 5, 6) }
  const product = dense(3, 2)
  product.values.fill(99)
  await multiply(matrix, right, product, breathe)
  t.same([...product.values], [7, 10, 0, 0, 15, 18])
  await multiply(transpose(matrix), right, product, breathe)
  t.same([...product.values], [1, 2, 2, 4, 15, 18])
})

t.test('rows and columns of every length up to past what is taken together', async (t) => {
  for (let size = 0; size <= 9; size++) {
    const [rows, columns] = [size, size + 1]
    const values = Float32Array.from({ length: rows * columns }, (_, at) => ((at * 37) % 11) - 5)
    const matrix = { rows, columns, values }
    const factors = Float32Array.from({ length: rows }, (_, at) => at - 3)
    const sums = new Float64Array(columns).fill(1)
    addRows(sums, matrix, Uint32Array.from(factors.keys()), factors)
    const products = await gram(matrix, breathe)
    for (let left = 0; left < columns; left++) {
      const column = (of: number): number[] =>
        Array.from({ length: rows }, (_, row) => values[row * columns + of] ?? NaN)
      const plain = column(left).reduce((sum, value, row) => sum + value * (factors[row] ?? NaN), 1)
      if (sums[left] !== plain) t.equal(sums[left], plain, `${size} rows, column ${left}`)
      for (let right = 0; right < columns; right++) {
        const product = column(left).reduce((sum, value, row) => sum + value * (column(right)[row] ?? NaN), 0)
        if (products[left * columns + right] !== product) {
          t.equal(products[left * columns + right], product, `${size} rows, columns ${left} and ${right}`)
        }
      }
    }
  }
  t.pass('all sizes')
})

t.test('a store of many documents gives each its own terms', async (t) => {
  const counts = new TermCountStore()
  const terms = Array.from({ length: 1_000 }, (_, at) => at)
  // More than a chunk, and documents that lie across the border of two.
  for (let document = 0; document < 300; document++) {
    counts.add({ terms: terms.map((term) => term + document), counts: terms.map(() => 32_767) })
  }
  t.equal(counts.documents, 300)
  for (const document of [0, 262, 299]) {
    const seen: number[] = []
    counts.forEachTerm(document, (term, count) => {
      if (count === 32_767) seen.push(term - document)
    })
    t.same(seen, terms)
    t.equal(counts.termsOf(document), 1_000)
  }
})
