import type { Queryable } from '../../core/db.ts'
import type { HashSql, KeyRange } from './row-hash.ts'
import { wholeTable } from './row-hash.ts'
import { hashRanges, readBoundaries, readRowHashes, sameBucket, type RowVersion } from './table-hash.ts'

/** A key whose row is not the same on both servers. */
export interface Candidate {
  key: readonly string[]
  /** null when the primary has no such published row */
  primary: RowVersion | null
  cloud: RowVersion | null
}

export interface DrillOptions {
  primary: Queryable
  cloud: Queryable
  primarySql: HashSql
  cloudSql: HashSql
  /** the keys to look at; all of them when absent */
  range?: KeyRange
  primaryRows: number
  cloudRows: number
  /** ranges of at most this many rows are compared row by row */
  leafRows?: number
  fanOut?: number
  signal?: AbortSignal
}

/** Ranges of at most so many rows are compared row by row. */
export const defaultLeafRows = 2000

interface Piece {
  range: KeyRange
  primaryRows: number
  cloudRows: number
}

/**
 * Narrows a difference between two tables down to keys: hashes of key ranges, those that differ again,
 * until a range is small enough to compare row by row. Both sessions must hold a snapshot. Gives what it
 * finds range by range, so that however much differs, little of it is held at once.
 */
export async function* drillDown(options: DrillOptions): AsyncGenerator<Candidate[]> {
  const leafRows = options.leafRows ?? defaultLeafRows
  const open: Piece[] = [
    {
      range: options.range ?? wholeTable,
      primaryRows: options.primaryRows,
      cloudRows: options.cloudRows,
    },
  ]
  for (let piece = open.pop(); piece !== undefined; piece = open.pop()) {
    options.signal?.throwIfAborted()
    if (Math.max(piece.primaryRows, piece.cloudRows) > leafRows) {
      open.push(...(await splitPiece(piece, options, leafRows)))
      continue
    }
    const [primary, cloud] = await Promise.all([
      readRowHashes(options.primary, options.primarySql, piece.range),
      readRowHashes(options.cloud, options.cloudSql, piece.range),
    ])
    yield compareRows(primary, cloud)
  }
}

/** The first `limit` keys that differ, and whether there are no others. */
export async function findDifferences(
  options: DrillOptions & { limit: number },
): Promise<{ candidates: Candidate[]; complete: boolean }> {
  const candidates: Candidate[] = []
  for await (const found of drillDown(options)) {
    candidates.push(...found)
    if (candidates.length > options.limit) {
      return { candidates: candidates.slice(0, options.limit), complete: false }
    }
  }
  return { candidates, complete: true }
}

/** The pieces of a range that differ. */
async function splitPiece(piece: Piece, options: DrillOptions, leafRows: number): Promise<Piece[]> {
  const fanOut = options.fanOut ?? 32
  const largest = Math.max(piece.primaryRows, piece.cloudRows)
  const step = Math.max(leafRows, Math.ceil(largest / fanOut))
  // The side with more rows decides, so that every piece gets smaller.
  const boundaries =
    piece.primaryRows >= piece.cloudRows
      ? await readBoundaries(options.primary, options.primarySql, piece.range, step)
      : await readBoundaries(options.cloud, options.cloudSql, piece.range, step)
  const ranges = boundaries.map((from, place): KeyRange => ({
    from,
    to: boundaries[place + 1] ?? piece.range.to,
  }))
  ranges.unshift({ from: piece.range.from, to: boundaries[0] ?? piece.range.to })
  const [primary, cloud] = await Promise.all([
    hashRanges(options.primary, options.primarySql, ranges),
    hashRanges(options.cloud, options.cloudSql, ranges),
  ])
  const pieces: Piece[] = []
  ranges.forEach((range, place) => {
    const ours = primary.buckets[place]
    const theirs = cloud.buckets[place]
    if (ours === undefined || theirs === undefined || sameBucket(ours, theirs)) return
    pieces.push({ range, primaryRows: ours.rows, cloudRows: theirs.rows })
  })
  return pieces.reverse()
}

/** The keys that only one side has, or whose hashes differ. */
export function compareRows(primary: readonly RowVersion[], cloud: readonly RowVersion[]): Candidate[] {
  const name = (row: RowVersion): string => JSON.stringify(row.key)
  const theirs = new Map(cloud.map((row) => [name(row), row]))
  const candidates: Candidate[] = []
  for (const row of primary) {
    const other = theirs.get(name(row)) ?? null
    theirs.delete(name(row))
    if (other?.hash !== row.hash) candidates.push({ key: row.key, primary: row, cloud: other })
  }
  for (const row of theirs.values()) candidates.push({ key: row.key, primary: null, cloud: row })
  return candidates
}
