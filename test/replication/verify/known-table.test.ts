import t from 'tap'
import { fragment } from '../../../core/sql.ts'
import { publishedTables } from '../../../core/published-tables.ts'
import { nothingFound } from '../../../replication/verify/findings.ts'
import {
  minPieceRows,
  needsFull,
  nextKnown,
  pieceRows,
  signatureOf,
  type KnownTable,
} from '../../../replication/verify/known-table.ts'
import type { HashSql } from '../../../replication/verify/row-hash.ts'

const known: KnownTable = { signature: 's', rows: 100_000, cuts: [['5']], rowsWhenCut: 100_000, next: 1 }

t.test('a share makes so many pieces, and no piece is tiny', async (t) => {
  const cases = [
    [1_000_000, 1 / 24, 41_667],
    [10_000, 1 / 4, 2500],
    [10_000, 0.3, 3334],
    [9_999, 1 / 24, minPieceRows],
    [0, 1 / 24, minPieceRows],
    [10_000, 1, 10_000],
    [10_000, 0.9, 10_000],
  ] as const
  for (const [rows, share, expected] of cases) {
    t.equal(pieceRows(rows, share), expected, `${rows} rows`)
    t.ok(rows / pieceRows(rows, share) <= 1 / share + 1e-9, 'never more turns than were promised')
  }
})

t.test('what cannot be known from what was is compared in full', async (t) => {
  const now = { signature: 's', isWholeTouched: false, touchedKeys: 12_500 }
  t.notOk(needsFull(known, now))
  t.ok(needsFull(known, { ...now, touchedKeys: 12_501 }), 'too many to read one by one')
  t.notOk(needsFull({ ...known, rows: 10 }, { ...now, touchedKeys: minPieceRows }))
  t.ok(needsFull(known, { ...now, isWholeTouched: true }))
  t.ok(needsFull(known, { ...now, signature: 'other' }))
})

t.test(
  'a run leaves something to build on unless it found drift, all of the table open, or twice the rows',
  async (t) => {
    const looked = { signature: 's', cuts: [['5']], rowsWhenCut: 100_000, next: 0 }
    const found = { ...nothingFound, primaryRows: 110_000, open: [['7']] }
    t.strictSame(
      nextKnown(looked, found),
      { ...looked, rows: 110_000 },
      'open rows are touched rows of the next',
    )
    t.equal(nextKnown(looked, { ...found, proven: 1 }), null)
    t.equal(nextKnown(looked, { ...found, open: 'all' }), null)
    t.ok(nextKnown(looked, { ...found, primaryRows: 200_000 }))
    t.equal(nextKnown(looked, { ...found, primaryRows: 200_001 }), null)
    t.ok(
      nextKnown({ ...looked, rowsWhenCut: 0 }, { ...found, primaryRows: 2 * minPieceRows }),
      'small ones may grow',
    )
  },
)

t.test('the signature tells other columns, and another place on either side', async (t) => {
  const [table] = publishedTables.filter(({ name }) => name === 'lexicon')
  if (table === undefined) throw new Error('no lexicon')
  const sql = (send: string): HashSql => ({
    table: fragment('lexicon'),
    values: fragment(`${send}(t.term)`),
    hash: fragment('1'),
    columnHashes: fragment('1'),
    keyText: fragment('1'),
    keys: fragment('1'),
    keyColumns: [],
    plainKeys: fragment('1'),
    filter: fragment('true'),
  })
  const subject = (send: string) => ({ table, primarySql: sql('int4send'), cloudSql: sql(send) })
  const at = (place: string) => new Map([['lexicon', place]])
  const first = signatureOf(subject('int4send'), at('a'), at('b'))
  t.equal(signatureOf(subject('int4send'), at('a'), at('b')), first)
  t.not(signatureOf(subject('int8send'), at('a'), at('b')), first)
  t.not(signatureOf(subject('int4send'), at('c'), at('b')), first)
  t.not(signatureOf(subject('int4send'), at('a'), at('c')), first)
})
