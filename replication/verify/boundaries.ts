import type { Queryable } from '../../core/db.ts'
import { fragment, renderSql } from '../../core/sql.ts'
import { rangeCondition, type HashSql, type Key, type KeyRange } from './row-hash.ts'

/** Pieces of a table that are hashed in one statement each side. */
export interface Chunk {
  ranges: readonly KeyRange[]
  /** what comes after it; null when nothing does */
  rest: KeyRange | null
  /** rows it was cut to have, those that are not published among them; the last chunk of a range may have fewer */
  rows: number
}

/** So many hashes say which part of a chunk differs without reading all of it again. */
const piecesPerChunk = 8

/**
 * About the first `rows` rows of a range, in pieces of at least `minPieceRows`. The last piece of the range
 * ends where the range does, so that nothing is left out on the side that was not asked. Rows that are not published
 * count too: the index alone then says where to cut, at a tenth of the cost of looking at each row.
 */
export async function cutChunk(
  db: Queryable,
  sql: HashSql,
  range: KeyRange,
  size: { rows: number; minPieceRows: number },
): Promise<Chunk> {
  const step = Math.max(size.minPieceRows, Math.ceil(size.rows / piecesPerChunk))
  const pieces = Math.ceil(size.rows / step)
  const rows = pieces * step
  const everyRow = { ...sql, filter: fragment('true') }
  const cuts: Key[] = []
  while (cuts.length < pieces) {
    const next = await readNextCut(db, everyRow, { from: cuts.at(-1) ?? range.from, to: range.to }, step)
    if (next === null) return { ranges: piecesOf(cuts, range), rest: null, rows }
    cuts.push(next)
  }
  const end = cuts.pop() ?? range.to
  return { ranges: piecesOf(cuts, { from: range.from, to: end }), rest: { from: end, to: range.to }, rows }
}

/** The keys that part a table into pieces of `step` published rows, in short statements. */
export async function cutTable(
  db: Queryable,
  sql: HashSql,
  step: number,
  signal?: AbortSignal,
): Promise<Key[]> {
  const cuts: Key[] = []
  for (;;) {
    signal?.throwIfAborted()
    const next = await readNextCut(db, sql, { from: cuts.at(-1) ?? null, to: null }, step)
    if (next === null) return cuts
    cuts.push(next)
  }
}

/** The key that the rows after the next `step` begin with; null when no more are left. */
async function readNextCut(db: Queryable, sql: HashSql, range: KeyRange, step: number): Promise<Key | null> {
  const { table, keyText, keys, plainKeys } = sql
  const { rows } = await db.query<{ key: Key }>(
    renderSql('verify/next-boundary', {
      table,
      keyText,
      keys,
      keyColumns: plainKeys,
      condition: rangeCondition(sql, range),
      step: fragment(String(step)),
    }),
  )
  return rows[0]?.key ?? null
}

/** Pure: one of the pieces that keys part a range into: one more than keys. */
export function pieceOf(
  cuts: readonly Key[],
  place: number,
  whole: KeyRange = { from: null, to: null },
): KeyRange {
  return { from: cuts[place - 1] ?? whole.from, to: cuts[place] ?? whole.to }
}

function piecesOf(cuts: readonly Key[], whole: KeyRange): KeyRange[] {
  return Array.from({ length: cuts.length + 1 }, (_, place) => pieceOf(cuts, place, whole))
}
