import type { SeedRange } from '../cloud-link.ts'

/** How far the initial copy is. */
export interface SeedProgress {
  tables: number
  tablesCopied: number
  ranges: number
  rangesCopied: number
  /** copied so far, by earlier runs too */
  rows: number
  /** how many it will be, by the size of the ranges */
  rowsExpected: number
  /** sent by this run */
  bytes: number
  /** of this run */
  rowsPerSecond: number
  seconds: number
  /** null until a range was copied */
  secondsLeft: number | null
}

type Counted = Pick<SeedRange, 'table' | 'snapshotLsn' | 'rows'>

/** Pure: ranges as they are now; `run` is what this process has done. */
export function measureSeed(
  ranges: readonly Counted[],
  run: { rows: number; bytes: number; seconds: number },
): SeedProgress {
  const copied = ranges.filter((range) => range.snapshotLsn !== null)
  const open = new Set(ranges.filter((range) => range.snapshotLsn === null).map((range) => range.table))
  const tables = new Set(ranges.map((range) => range.table))
  const rows = copied.reduce((sum, range) => sum + Number(range.rows ?? 0), 0)
  const rowsLeft = [...tables].reduce((sum, table) => sum + expectLeft(ranges, table), 0)
  const rowsPerSecond = run.seconds > 0 ? run.rows / run.seconds : 0
  return {
    tables: tables.size,
    tablesCopied: tables.size - open.size,
    ranges: ranges.length,
    rangesCopied: copied.length,
    rows,
    rowsExpected: rows + rowsLeft,
    bytes: run.bytes,
    rowsPerSecond: Math.round(rowsPerSecond),
    seconds: run.seconds,
    secondsLeft: rowsPerSecond > 0 ? rowsLeft / rowsPerSecond : null,
  }
}

/** Ranges of a table are of one size, except the last; a table of which nothing is copied counts as full ones. */
function expectLeft(ranges: readonly Counted[], table: string): number {
  const mine = ranges.filter((range) => range.table === table)
  const left = mine.filter((range) => range.snapshotLsn === null).length
  const largest = Math.max(0, ...mine.map((range) => Number(range.rows ?? 0)))
  return left * (largest > 0 ? largest : mine.length > 1 ? fullRange : 0)
}

const fullRange = 20_000
