import t from 'tap'
import { poolTokens } from '../../../core/embed/pool.ts'

// Two texts of three tokens, two wide; the first is padded on the right, the second on the left.
const hidden = {
  values: Float32Array.of(3, 0, 0, 4, 9, 9, 9, 9, 0, 2, 5, 12),
  texts: 2,
  tokens: 3,
  dimensions: 2,
}
const mask = [1, 1, 0, 0, 1, 1]
const close = (found: Float32Array, expected: number[]) =>
  found.length === expected.length && expected.every((value, at) => Math.abs(value - found[at]!) < 1e-6)

t.test('mean, first and last token, without the padding', async (t) => {
  const mean = Math.hypot(5, 14)
  t.ok(close(poolTokens(hidden, mask, 'mean'), [0.6, 0.8, 5 / mean, 14 / mean]))
  t.ok(close(poolTokens(hidden, mask, 'cls'), [1, 0, 0, 1]))
  t.ok(close(poolTokens(hidden, mask, 'last'), [0, 1, 5 / 13, 12 / 13]))
})

t.test('a text without a token is zero; numbers that are none are refused', async (t) => {
  t.same([...poolTokens(hidden, [0, 0, 0, 1, 1, 1], 'mean').subarray(0, 2)], [0, 0])
  for (const bad of [NaN, Infinity]) {
    const values = hidden.values.map((value, at) => (at === 2 ? bad : value))
    t.throws(() => poolTokens({ ...hidden, values }, mask, 'mean'), { code: 'MODEL_OUTPUT' })
    t.doesNotThrow(() => poolTokens({ ...hidden, values }, mask, 'cls'))
  }
})
