import type { Queryable } from '../../../core/db.ts'
import { HomeportError } from '../../../core/errors.ts'
import type { PublishedTable } from '../../../core/published-tables.ts'
import { fragment, renderSql } from '../../../core/sql.ts'
import { readTableFacts } from '../../table-facts.ts'
import { buildHashSql, rangeCondition, wholeTable, type HashSql, type Key } from '../../verify/row-hash.ts'
import { readBoundaries } from '../../verify/table-hash.ts'
import type { SeedRange } from '../cloud-link.ts'

export type PlannedRange = Pick<SeedRange, 'table' | 'number' | 'from' | 'to'>

export interface RangeSize {
  /** rows of a range (default 20,000): what a crash repeats at most, a worker */
  rows?: number
  /** bytes of a range on the wire (default 16 MB): what the gateway takes in one request is bounded */
  bytes?: number
}

/** What is needed to read the ranges of a table, the published rows only. */
export interface TableReader {
  table: PublishedTable
  sql: HashSql
}

/** @throws HomeportError NOT_MIGRATED when the primary lacks one of the tables. */
export async function readTableReaders(
  primary: Queryable,
  tables: readonly PublishedTable[],
): Promise<Map<string, TableReader>> {
  const facts = await readTableFacts(primary, tables)
  return new Map(
    tables.map((table) => {
      const found = facts.get(table.name)
      if (found === undefined) {
        const message = `the primary has no table ${table.name}`
        throw new HomeportError('NOT_MIGRATED', message, { hint: 'ops migrate', exitCode: 2 })
      }
      return [table.name, { table, sql: buildHashSql(table, found, true) }]
    }),
  )
}

/**
 * Cuts the published rows of tables into ranges of keys. The first is open to the left and the last to the
 * right, so that they cover every key also of a later snapshot. An empty table has one range.
 */
export async function planRanges(
  snapshot: Queryable,
  readers: Iterable<TableReader>,
  size: RangeSize = {},
): Promise<PlannedRange[]> {
  const ranges: PlannedRange[] = []
  for (const { table, sql } of readers) {
    const step = rowsPerRange(await readRowBytes(snapshot, { table, sql }), size)
    const boundaries = await readBoundaries(snapshot, sql, wholeTable, step)
    ranges.push(...rangesBetween(table.name, boundaries))
  }
  return ranges
}

/** Pure: from n keys, n + 1 ranges. */
export function rangesBetween(table: string, boundaries: readonly Key[]): PlannedRange[] {
  return [null, ...boundaries].map((from, number) => ({
    table,
    number,
    from,
    to: boundaries[number] ?? null,
  }))
}

/** Pure: as many rows as fit in both limits, at least one. */
export function rowsPerRange(rowBytes: number, { rows = 20_000, bytes = 2 ** 24 }: RangeSize): number {
  if (rowBytes <= 0) return rows
  return Math.max(1, Math.min(rows, Math.floor(bytes / rowBytes)))
}

async function readRowBytes(snapshot: Queryable, { table, sql }: TableReader): Promise<number> {
  const frames = table.columns.length
  // Each column has its length before it, each row the number of its columns.
  const columns = Array.from({ length: frames }, (_, place) => `coalesce(octet_length(s.c${place}), 0)`)
  const { rows } = await snapshot.query<{ bytes: number }>(
    renderSql('relay/seed-row-bytes', {
      table: sql.table,
      values: sql.values,
      bytes: fragment(`${columns.join(' + ')} + ${2 + 4 * frames}`),
      condition: rangeCondition(sql, wholeTable),
    }),
  )
  return rows[0]?.bytes ?? 0
}
