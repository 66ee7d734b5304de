import t from 'tap'
import { b, inverseDocumentFrequency, k1, termWeight, unlistedDocuments } from '../../core/bm25.ts'

const near = (left: number, right: number) => Math.abs(left - right) < 1e-12

t.test('idf: rare words tell more, none tells less than nothing', async (t) => {
  t.ok(near(inverseDocumentFrequency(10, 3), Math.log(1 + 7.5 / 3.5)))
  t.ok(inverseDocumentFrequency(1_000, unlistedDocuments) > inverseDocumentFrequency(1_000, 2))
  t.ok(inverseDocumentFrequency(1_000, 1_000) > 0)
  t.equal(inverseDocumentFrequency(10, 99), inverseDocumentFrequency(10, 10), 'statistics may lag behind')
  t.equal(inverseDocumentFrequency(10, -1), inverseDocumentFrequency(10, 0))
  t.ok(Number.isFinite(inverseDocumentFrequency(0, unlistedDocuments)))
})

t.test('the weight of a term in a text', async (t) => {
  t.same([k1, b], [1.2, 0.75])
  t.ok(near(termWeight(1, 100, 100), 1), 'once in a text of average length')
  t.ok(near(termWeight(2, 100, 100), (2 * 2.2) / 3.2))
  t.ok(near(termWeight(3, 300, 100), (3 * 2.2) / (3 + 1.2 * (0.25 + 0.75 * 3))))
  t.ok(termWeight(1e6, 100, 100) < k1 + 1, 'saturates')
  t.equal(termWeight(0, 100, 100), 0)
  t.ok(near(termWeight(1, 0, 0), 1), 'an empty collection')
})
