import t from 'tap'
import {
  freshRanges,
  isFlushed,
  keptForMs,
  whyUnusable,
} from '../../../replication/verify/checkpoint-guards.ts'
import {
  formatHead,
  formatRanges,
  parseCheckpoint,
  type CheckpointHead,
  type SideMoment,
} from '../../../replication/verify/checkpoint-lines.ts'
import { inOrder, keyOrderOf, rangesBesides } from '../../../replication/verify/key-order.ts'
import { wholeTable, type Key, type KeyRange } from '../../../replication/verify/row-hash.ts'

const side: SideMoment = {
  systemIdentifier: '7',
  databaseOid: '5',
  startedAt: '1767322984.123456',
  timeline: '00000001',
  layout: '16400 16500 1:id:700',
  xmin: '4294967396',
  lsn: '1/20',
}
const head: CheckpointHead = { version: 1, id: 'a', definition: 'd', primary: side, cloud: side }

t.test('what was true of earlier moments is used only where nothing speaks against it', async (t) => {
  const later = { ...side, xmin: String(BigInt(side.xmin) + 2n ** 30n), lsn: '2/0' }
  t.equal(whyUnusable(head, { ...head, id: 'b', primary: later, cloud: later }), null)
  t.equal(whyUnusable(head, head), null)
  t.match(whyUnusable(head, { ...head, definition: 'e' }), /other columns/)
  const reasons: [Partial<SideMoment>, RegExp][] = [
    [{ systemIdentifier: '8' }, /is another one$/],
    [{ systemIdentifier: null }, /is another one$/],
    [{ databaseOid: '6' }, /is another one$/],
    [{ startedAt: '1767322984.123457' }, /was started anew since$/],
    [{ timeline: '00000002' }, /was promoted or restored since$/],
    // The lower half is greater: an epoch lies between.
    [{ xmin: '4294967295' }, /was restored since$/],
    [{ lsn: '1/1F' }, /was restored since$/],
    [{ xmin: String(BigInt(side.xmin) + 2n ** 30n + 1n) }, /too many transactions/],
    [{ layout: '16400 16501 1:id:700' }, /altered, emptied or rewritten/],
  ]
  for (const [change, reason] of reasons) {
    for (const name of ['primary', 'cloud'] as const) {
      const why = whyUnusable(head, { ...head, [name]: { ...side, ...change } })
      t.match(why, reason, JSON.stringify(change))
      t.match(why, name)
    }
  }
  const unknown = { ...side, layout: null }
  t.match(whyUnusable({ ...head, cloud: unknown }, { ...head, cloud: unknown }), /altered/)
})

t.test('what is older than a day, or of a later time, is not fresh', async (t) => {
  const now = 2 * keptForMs
  const ranges = [now + 1, now, keptForMs + 1, keptForMs].map((at) => ({ ...wholeTable, rows: 1, at }))
  t.strictSame(
    freshRanges(ranges, now).map(({ at }) => at),
    [now, keptForMs + 1],
  )
})

t.test(
  'the log is flushed up to a position, but for the header of a page that has nothing yet',
  async (t) => {
    const at = (lsn: string, pageBytes = 8192) => ({ lsn, pageBytes })
    t.ok(isFlushed('0/30', at('0/30')))
    t.notOk(isFlushed('0/38', at('0/30')))
    t.ok(isFlushed('0/2018', at('0/2000')))
    t.notOk(isFlushed('0/2018', at('0/1FF8')))
    t.notOk(isFlushed('0/2020', at('0/2000')), 'the rest of a record')
    t.notOk(isFlushed('0/2018', at('0/2000', 16_384)), 'in the middle of a page')
  },
)

t.test('a file says what was written, and nothing else', async (t) => {
  const ranges = [
    { from: null, to: ['1', 'ä b'], rows: 250, at: 5 },
    { from: ['1', 'ä b'], to: null, rows: 0, at: 6 },
  ]
  const [first, second, third] = [head, ...ranges].map((_, at) =>
    at === 0 ? formatHead(head) : formatRanges('a', ranges.slice(at - 1, at)),
  )
  const whole = `${first}${second}${third}`
  t.strictSame(parseCheckpoint(whole), { head, ranges, damaged: 0 })
  t.strictSame(parseCheckpoint(whole.slice(0, -1)), { head, ranges: ranges.slice(0, 1), damaged: 0 }, 'torn')
  t.strictSame(parseCheckpoint(`${first}${formatRanges('b', ranges)}`), { head, ranges: [], damaged: 2 })
  t.equal(parseCheckpoint(''), null)
  t.equal(parseCheckpoint(`${formatHead({ ...head, version: 2 as 1 })}${second}`), null)
  t.equal(parseCheckpoint(`${second}${third}`), null)
  // One bit anywhere: its line is not believed, or none is, and never does anything else stand there.
  const bytes = Buffer.from(whole)
  const written = [head, ...ranges].map((one) => JSON.stringify(one))
  for (let at = 0; at < bytes.length; at += 1) {
    const flipped = Buffer.from(bytes)
    flipped[at] = (bytes[at] ?? 0) ^ (1 << (at % 8))
    const parsed = parseCheckpoint(flipped.toString())
    const said = [parsed?.head ?? head, ...(parsed?.ranges ?? [])].map((one) => JSON.stringify(one))
    if (said.some((one) => !written.includes(one))) t.fail(`the bit at ${at}`)
  }
})

const columnOf = (type: string) => ({ type }) as Parameters<typeof keyOrderOf>[0][number]

t.test('keys are in the order in which Postgres has them', async (t) => {
  const order = keyOrderOf([columnOf('integer'), columnOf('text')])
  const keys: Key[] = [
    ['-10', 'b'],
    ['-9', 'Z'],
    ['-9', 'a'],
    ['9', 'a'],
    ['9', 'ab'],
    ['9', 'ä'],
    ['9', '\u{ffff}'],
    ['9', '\u{10000}'],
    ['10', ''],
  ]
  t.strictSame([...keys].reverse().sort(order ?? undefined), keys)
  const ids = keyOrderOf([columnOf('bigint')])
  t.ok((ids?.(['9223372036854775806'], ['9223372036854775807']) ?? 0) < 0)
  t.equal(keyOrderOf([columnOf('integer'), columnOf('timestamp with time zone')]), null)
})

function range(from: number | null, to: number | null): KeyRange {
  const key = (value: number | null): Key | null => (value === null ? null : [String(value)])
  return { from: key(from), to: key(to) }
}

t.test('what lies besides ranges, and no key is left out', async (t) => {
  const besides = (...ranges: KeyRange[]) => rangesBesides(ranges, wholeTable)
  t.strictSame(besides(), [wholeTable])
  t.strictSame(besides(wholeTable), [])
  t.strictSame(besides(range(null, 5), range(5, 9)), [range(9, null)])
  t.strictSame(besides(range(3, 5), range(7, 9), range(20, null)), [
    range(null, 3),
    range(5, 7),
    range(9, 20),
  ])

  const order = keyOrderOf([columnOf('integer')])
  if (order === null) throw new Error('integers have an order')
  const sorted = inOrder([range(7, 9), range(4, 8), range(null, 5), range(10, null), range(12, 13)], order)
  t.strictSame(sorted, [range(null, 5), range(7, 9), range(10, null)], 'without those that overlap')
})
