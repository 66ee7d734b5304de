import t from 'tap'
import { decodeRow, encodeRow, RowStore, type StoredRow } from '../../../api/fallback/row-store.ts'
import { randomNumbers } from './fixture.ts'

function randomRow(random: () => number): StoredRow {
  const letters = ['a', 'é', '漢', '🎙', '"', '\\', '\n', ' ', '\u2028']
  const text = Array.from({ length: 1 + Math.floor(random() * 200) }, () => {
    return letters[Math.floor(random() * letters.length)]!
  }).join('')
  const maybe = <T>(value: T): T | null => (random() < 0.3 ? null : value)
  return {
    sourceId: String(BigInt.asIntN(64, BigInt(Math.floor(random() * 2 ** 53)) * -7919n)),
    startMs: maybe(Math.floor(random() * 2 ** 31)),
    endMs: maybe(Math.floor(random() * 2 ** 31)),
    chapter: maybe('Kapitel "1"'),
    speaker: maybe('Ann'),
    text,
    turns: [{ speaker: maybe('Ann'), offset: 3, startMs: maybe(12) }],
    wordStartsMs: maybe(
      Array.from({ length: Math.floor(random() * 300) }, () => Math.floor((random() - 0.2) * 2 ** 31)),
    ),
  }
}

t.test('a row comes back as it was', async (t) => {
  const random = randomNumbers(11)
  const rows = Array.from({ length: 200 }, () => randomRow(random))
  const store = new RowStore()
  for (const row of rows) store.push(encodeRow(row))
  rows.forEach((row, at) => t.same(store.read(at), row))

  const bytes = Buffer.concat(rows.map((_, at) => store.bytes(at)))
  const adopted = new RowStore()
  adopted.adopt(bytes, store.lengths().slice())
  adopted.push(encodeRow(rows[0]!))
  rows.forEach((row, at) => t.same(adopted.read(at), row))
  t.same(adopted.read(rows.length), rows[0])
  t.equal(adopted.byteLength, bytes.length + store.bytes(0).length)
})

t.test('a row larger than a block has one of its own', async (t) => {
  const store = new RowStore()
  const row = randomRow(randomNumbers(1))
  const long = { ...row, text: 'x'.repeat(5 << 20) }
  for (const one of [row, long, row]) store.push(encodeRow(one))
  t.same([store.read(0), store.read(1).text.length, store.read(2)], [row, 5 << 20, row])
})

t.test('words at ordinary distances take a byte or two each', async (t) => {
  const wordStartsMs = Array.from({ length: 220 }, (_, at) => at * 400)
  const row = { ...randomRow(randomNumbers(2)), wordStartsMs }
  const bytes = encodeRow(row).length - encodeRow({ ...row, wordStartsMs: null }).length
  t.ok(bytes <= 2 * 220 + 2, `${bytes} bytes for 220 words`)
  t.same(decodeRow(encodeRow(row)).wordStartsMs, wordStartsMs)
})
