import { nothingFound, type TableFindings } from './findings.ts'
import type { Key } from './row-hash.ts'
import type { Subject } from './subjects.ts'

/** What a later look at a table can build on: since its moment only what a watch tells of was written. */
export interface KnownTable {
  /** what was compared, and where it lies on both sides */
  signature: string
  /** published rows on the primary */
  rows: number
  /** keys that part it into the pieces of which each run compares one */
  cuts: readonly Key[]
  /** rows when it was cut */
  rowsWhenCut: number
  /** the piece that comes next */
  next: number
}

/** Where tables lie on both servers, by name. */
export type Storage = ReadonlyMap<string, string>

/** Pure: what must be the same in both runs for the earlier one to say anything in the later. */
export function signatureOf(subject: Subject, primary: Storage, cloud: Storage): string {
  const { table, primarySql, cloudSql } = subject
  const where = [primary.get(table.name), cloud.get(table.name)]
  return JSON.stringify([primarySql.values.sql, cloudSql.values.sql, primarySql.filter.sql, ...where])
}

/** Pieces of fewer rows are not worth a turn of their own. */
export const minPieceRows = 2000

/** Pure: rows of a piece, so that there are no more pieces than `1 / share`. */
export function pieceRows(rows: number, share: number, minRows = minPieceRows): number {
  return Math.max(minRows, Math.ceil(rows / Math.max(1, Math.floor(1 / share + 1e-9))))
}

/**
 * Pure: whether a table must be compared in full, because it was written as a whole, is not what or
 * where it was, or because so many keys were touched that reading them one by one would cost as much.
 */
export function needsFull(
  known: KnownTable,
  now: { signature: string; isWholeTouched: boolean; touchedKeys: number },
): boolean {
  if (known.signature !== now.signature || now.isWholeTouched) return true
  return now.touchedKeys > Math.max(minPieceRows, known.rows / 8)
}

/**
 * Pure: what the next run may build on; null when that one must be in full: after drift, where all of the table
 * stayed open, or when it has more than doubled since it was cut. Rows that stayed open were written after the
 * moment of this run, or they would be drift, so the next one meets them among the touched ones.
 */
export function nextKnown(looked: Omit<KnownTable, 'rows'>, findings: TableFindings): KnownTable | null {
  const { proven, open, primaryRows: rows } = findings
  if (proven > 0 || open === 'all') return null
  if (rows > 2 * Math.max(looked.rowsWhenCut, minPieceRows)) return null
  return { ...looked, rows }
}

/** Nothing found yet, of a table with so many rows. */
export function noneOf(rows: number): TableFindings {
  return { ...nothingFound, primaryRows: rows, cloudRows: rows }
}
