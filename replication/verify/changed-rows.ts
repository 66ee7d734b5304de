import { pieceOf } from './boundaries.ts'
import { compareTable, recheckKeys, type CompareTableOptions } from './compare-table.ts'
import type { Candidate } from './find-differences.ts'
import { joinFindings, type TableFindings } from './findings.ts'
import { noneOf, type KnownTable } from './known-table.ts'
import type { Key } from './row-hash.ts'
import type { TouchedKey } from './touched-keys.ts'

export interface ChangedRowsOptions extends Omit<CompareTableOptions, 'range' | 'accept'> {
  known: KnownTable
  /** since the moment at which the table was known */
  touched: readonly TouchedKey[]
}

/**
 * Compares the rows that were touched, by their keys, and the piece of the table whose turn it is.
 * Rows are counted from what is known: the keys that were there then, and those that are there now.
 */
export async function compareChangedRows(
  options: ChangedRowsOptions,
): Promise<{ findings: TableFindings; comparedRows: number }> {
  const { known, touched, maxDifferences } = options
  const rechecked = new Set(touched.map((one) => name(one.key)))
  // What the cloud has more or less, by key: a key may be met twice.
  const balance = new Map<string, number>()
  const weigh = (one: Candidate): void => {
    balance.set(name(one.key), Number(one.cloud !== null) - Number(one.primary !== null))
  }
  let present = 0
  const changed = await recheckKeys({
    ...options,
    keys: touched.map((one) => one.key),
    before: noneOf(0),
    onPresent: (rows) => {
      present += rows
    },
    accept: (one) => {
      weigh(one)
      return true
    },
  })
  options.onRows?.(touched.length)
  const piece = await compareTable({
    ...options,
    range: pieceOf(known.cuts, known.next),
    accept: (one) => {
      weigh(one)
      return !rechecked.has(name(one.key))
    },
  })
  const gone = touched.filter((one) => one.existed).length
  const primaryRows = known.rows - gone + present
  const more = [...balance.values()].reduce((sum, one) => sum + one, 0)
  return {
    findings: { ...joinFindings(changed, piece, maxDifferences), primaryRows, cloudRows: primaryRows + more },
    comparedRows: touched.length + Math.max(piece.primaryRows, piece.cloudRows),
  }
}

function name(key: Key): string {
  return JSON.stringify(key)
}
