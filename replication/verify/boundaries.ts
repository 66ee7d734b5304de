import type { Queryable } from '../../core/db.ts'
import { fragment, renderSql, type SqlFragment } from '../../core/sql.ts'
import { rangeCondition, type HashSql, type Key, type KeyRange } from './row-hash.ts'

/** Pieces of a table that are hashed in one statement each side. */
export interface Chunk {
  ranges: readonly KeyRange[]
  /** what comes after it; null when nothing does */
  rest: KeyRange | null
}

/** So many hashes say which part of a chunk differs without reading all of it again. */
const piecesPerChunk = 8

/**
 * The first `rows` rows or a little more of a range, in pieces of at least `minPieceRows`. The last piece of the range
 * ends where the range does, so that nothing is left out on the side that was not asked.
 */
export async function cutChunk(
  db: Queryable,
  sql: HashSql,
  range: KeyRange,
  size: { rows: number; minPieceRows: number },
): Promise<Chunk> {
  const step = Math.max(size.minPieceRows, Math.ceil(size.rows / piecesPerChunk))
  const pieces = Math.ceil(size.rows / step)
  const { rows } = await db.query<{ key: Key }>(
    renderSql('verify/next-boundaries', {
      ...pick(sql, range),
      step: fragment(String(step)),
      limit: fragment(String(pieces * step + 1)),
    }),
  )
  const cuts = rows.map((row) => row.key)
  const end = cuts.length === pieces ? (cuts.pop() ?? null) : null
  const rest = end === null ? null : { from: end, to: range.to }
  const whole = { from: range.from, to: end ?? range.to }
  return { ranges: Array.from({ length: cuts.length + 1 }, (_, place) => pieceOf(cuts, place, whole)), rest }
}

/** The keys that part a table into pieces of `step` rows, in short statements. */
export async function cutTable(
  db: Queryable,
  sql: HashSql,
  step: number,
  signal?: AbortSignal,
): Promise<Key[]> {
  const cuts: Key[] = []
  for (;;) {
    signal?.throwIfAborted()
    const rest = { from: cuts.at(-1) ?? null, to: null }
    const { rows } = await db.query<{ key: Key }>(
      renderSql('verify/next-boundary', { ...pick(sql, rest), step: fragment(String(step)) }),
    )
    const next = rows[0]?.key
    if (next === undefined) return cuts
    cuts.push(next)
  }
}

/** Pure: one of the pieces that keys part a range into: one more than keys. */
export function pieceOf(
  cuts: readonly Key[],
  place: number,
  whole: KeyRange = { from: null, to: null },
): KeyRange {
  return { from: cuts[place - 1] ?? whole.from, to: cuts[place] ?? whole.to }
}

type Parts = Readonly<Record<'table' | 'keyText' | 'keys' | 'keyColumns' | 'condition', SqlFragment>>

function pick(sql: HashSql, range: KeyRange): Parts {
  const { table, keyText, keys, plainKeys } = sql
  return { table, keyText, keys, keyColumns: plainKeys, condition: rangeCondition(sql, range) }
}
