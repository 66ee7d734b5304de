import t from 'tap'
import {
  checkVector,
  dot,
  fromHalves,
  halves,
  normalise,
  parseHalfvecBinary,
  parseHalfvecText,
  toHalf,
  toHalfvecBinary,
  toHalfvecText,
  toHalves,
} from '../../core/vector.ts'

t.test('numbers to half precision, ties to even', async (t) => {
  const table: [value: number, bits: number][] = [
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [0.1, 0x2e66],
    [1 / 3, 0x3555],
    [65_504, 0x7bff],
    [65_519.996, 0x7bff],
    [65_520, 0x7c00],
    [-1e9, 0xfc00],
    [Infinity, 0x7c00],
    [NaN, 0x7e00],
    // Half-way between two halves: the even one.
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [1 + 2 ** -11 + 2 ** -20, 0x3c01],
    [2 - 2 ** -12, 0x4000],
    // The smallest normal, the largest subnormal, and between them.
    [2 ** -14, 0x0400],
    [1023 * 2 ** -24, 0x03ff],
    [1023.5 * 2 ** -24, 0x0400],
    [1022.5 * 2 ** -24, 0x03fe],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000],
    [2 ** -25 * 1.001, 0x0001],
    [1.5 * 2 ** -24, 0x0002],
    [-3 * 2 ** -24, 0x8003],
    [1e-30, 0x0000],
  ]
  for (const [value, bits] of table) t.equal(toHalf(value), bits, `${value}`)
})

t.test('every half survives the way there and back, as bits, text and binary', async (t) => {
  const bits = Uint16Array.from({ length: 0x10000 }, (_, at) => at).filter((at) => (at & 0x7c00) !== 0x7c00)
  const values = fromHalves(bits)
  t.same(toHalves(values), bits)
  t.equal(values[1], 2 ** -24)
  // -0 has no text of its own: everything else comes back to the bit.
  const plain = values.filter((value) => value !== 0)
  t.same(
    parseHalfvecText(toHalfvecText(plain)),
    plain.map((value) => Number(value.toPrecision(6))),
  )
  t.same(toHalves(parseHalfvecText(toHalfvecText(plain))), toHalves(plain))
  t.ok(Number.isNaN(halves()[0x7c01]))
  const some = plain.subarray(0, 1_000)
  t.same(fromHalves(parseHalfvecBinary(toHalfvecBinary(some))), some)
})

t.test('text and binary as pgvector reads them', async (t) => {
  t.equal(toHalfvecText([1, -0.5, 0.1]), '[1,-0.5,0.0999756]')
  t.same(toHalfvecBinary([1, -2]), Buffer.of(0, 2, 0, 0, 0x3c, 0, 0xc0, 0))
  t.same([...parseHalfvecText('[1, -2.5 ,3e-1]')], [1, -2.5, Math.fround(0.3)])
})

t.test('what is no vector', async (t) => {
  const invalid = { code: 'VECTOR_INVALID' }
  for (const text of ['', '1,2', '[1,2', '[1,,2]', '[1,x]', '[NaN]', '[1e9]', '[[1]]']) {
    t.throws(() => parseHalfvecText(text), invalid, text)
  }
  t.throws(() => checkVector([1, 2], 3), { ...invalid, message: /2 dimensions instead of 3/ })
  for (const bad of [NaN, Infinity, -Infinity, 65_520, 1e300]) {
    t.throws(() => checkVector([0, bad], 2), { ...invalid, message: /dimension 2/ })
    t.throws(() => toHalfvecBinary([0, bad]), invalid)
  }
  t.doesNotThrow(() => checkVector([65_519, -65_519], 2))
  t.throws(() => toHalfvecText([1], 2), invalid)
  for (const bytes of [[], [0], [0, 2, 0, 0, 1, 1], [0, 1, 0, 0, 1, 1, 1]]) {
    t.throws(() => parseHalfvecBinary(Uint8Array.from(bytes)), invalid)
  }
})

t.test('length and product', async (t) => {
  t.same(normalise(Float32Array.of(3, 4)), Float32Array.of(0.6, 0.8))
  t.same(normalise(new Float32Array(2)), new Float32Array(2))
  t.equal(dot([1, 2, 3], [4, 5, 6]), 32)
})
