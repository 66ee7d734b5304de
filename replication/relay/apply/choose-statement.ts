import type { Tuple } from '../../pgoutput/messages.ts'
import type { RowChange } from './change-reader.ts'
import { isComplete, type RowStatement, type TableShape } from './table-shape.ts'

/**
 * The statement that carries out a change; null where one statement cannot: a row that is new to the cloud came
 * without all of its values, or a key changes in a table whose copy may be younger than the change.
 *
 * `isLenient` for the latter: the copy contains the change already, or a later state of the row. An insert then
 * leaves a row alone that is there, and an update or a delete may find none.
 */
export function chooseStatement(change: RowChange, isLenient: boolean): RowStatement | null {
  const { kind, table, old, row } = change
  if (row === null) return old === null ? null : table.delete(old)
  if (kind === 'insert') {
    if (!isComplete(row)) return null
    return isLenient ? table.insertIfAbsent(row) : table.insert(row)
  }
  if (isLenient && changesKey(table, old, row)) return null
  return table.update(old, row)
}

/** Whether the primary key itself is another one afterwards. */
export function changesKey(table: TableShape, old: Tuple | null, row: Tuple): boolean {
  if (old === null) return false
  return table.key.some((column) => {
    const [before, after] = [old.values[column], row.values[column]]
    return before === null || before === undefined || after?.equals(before) !== true
  })
}

/** Whether the cloud's copy of the table may contain a change already, by the position of the copy. */
export function isLenient(change: RowChange, settled: ReadonlyMap<string, bigint>): boolean {
  return settled.size > 0 && change.commitLsn < (settled.get(change.table.name) ?? 0n)
}
