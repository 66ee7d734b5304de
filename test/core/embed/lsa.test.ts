import t from 'tap'
import { createLsaEmbedder, lsaFingerprint } from '../../../core/embed/lsa.ts'
import { toHalves } from '../../../core/vector.ts'
import { countTerms } from '../../../core/words.ts'

const [north, east] = [countTerms('north').terms[0] ?? 0, countTerms('east').terms[0] ?? 0]
const parts = {
  dimensions: 2,
  terms: Int32Array.from([north, east].sort((left, right) => left - right)),
  basis: north < east ? Float32Array.of(0, 2, 4, 0) : Float32Array.of(4, 0, 0, 2),
}
const generation = { dimensions: 2, fingerprint: lsaFingerprint(parts) }

t.test('the sum of the square roots of the counts times the rows, of unit length', async (t) => {
  const embedder = createLsaEmbedder({ ...parts, generation })
  t.match(embedder, { kind: 'lsa', ...generation })
  const long = Math.hypot(4, 2 * Math.sqrt(3))
  const expected = Float32Array.of(4 / long, (2 * Math.sqrt(3)) / long)
  const text = 'North, north and NORTH of the east'
  t.same(await embedder.embedSegments([text, 'nothing known', 'north']), [
    expected,
    Float32Array.of(0, 0),
    Float32Array.of(0, 1),
  ])
  t.same(await embedder.embedQuery(text), expected)
  t.same(embedder.embedCounts(countTerms(text)), expected)
  t.same(embedder.embedCounts({ terms: [], counts: [] }), Float32Array.of(0, 0))
})

t.test('a basis of half-precision bits gives the same vectors under the same fingerprint', async (t) => {
  const bits = { ...parts, basis: toHalves(parts.basis) }
  t.equal(lsaFingerprint(bits), generation.fingerprint)
  const embedder = createLsaEmbedder({ ...bits, generation })
  t.same(await embedder.embedQuery('north'), Float32Array.of(0, 1))
})

t.test('half a basis, or another one, is refused', async (t) => {
  const mismatch = { code: 'GENERATION_MISMATCH' }
  const refuse = (changed: Partial<typeof parts>, name: string) =>
    t.throws(() => createLsaEmbedder({ ...parts, ...changed, generation }), mismatch, name)
  refuse({ basis: parts.basis.slice(0, 2), terms: parts.terms.slice(0, 1) }, 'a row is missing')
  refuse({ basis: parts.basis.slice(0, 3) }, 'a row is cut')
  refuse({ basis: Float32Array.of(0, 2, 4, 1) }, 'a value differs')
  refuse({ terms: parts.terms.toReversed() }, 'the terms are in another order')
  refuse({ dimensions: 4 }, 'another dimension')
})
