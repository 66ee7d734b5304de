import t from 'tap'
import { halves, toHalf, toHalfvecBinary, toHalfvecText } from '../../core/vector.ts'
import { createDatabase, queryRows } from '../support/databases.ts'

t.test('pgvector reads and rounds numbers to the same halves', async (t) => {
  const url = await createDatabase(t, 'primary')
  const send = async (text: string) => {
    const [row] = await queryRows<{ bytes: Buffer }>(url, 'select halfvec_send($1::text::halfvec) as bytes', [
      text,
    ])
    return row?.bytes
  }
  // Every positive half and every value half-way to the next, sent as a number Postgres has to round.
  const table = halves()
  const finite = Array.from({ length: 0x7c00 }, (_, bits) => table[bits] ?? 0)
  const between = finite.slice(0, -1).map((value, at) => (value + (finite[at + 1] ?? 0)) / 2)
  for (const values of [finite, between, between.map((value) => -Math.fround(value * 1.0001))]) {
    for (let from = 0; from < values.length; from += 8_000) {
      const some = values.slice(from, from + 8_000)
      const expected = toHalfvecBinary(some)
      t.same(await send(JSON.stringify(some)), expected, 'rounded by Postgres')
      t.same(await send(toHalfvecText(some)), expected, 'rounded here, as text')
    }
  }
  await t.rejects(send('[65520]'), 'the limit is where Postgres has it')
  t.equal(toHalf(65_519), 0x7bff)
})
