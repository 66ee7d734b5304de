import { columnKind, type Tuple } from '../../pgoutput/messages.ts'
import type { FetchedRow, NeedRows } from '../cloud-link.ts'
import { damagedBatch } from './errors.ts'
import { keyOf } from './key-text.ts'
import { isComplete, type TableShape } from './table-shape.ts'

/** A table by name, and the columns of its primary key. */
type KeyedTable = Pick<TableShape, 'name' | 'keyNames'>

/** Rows of the primary that came on request, and the request for those that did not. */
export class RowSupply {
  readonly #fetched: ReadonlyMap<string, FetchedRow>
  readonly #wanted = new Map<string, { table: KeyedTable; keys: Map<string, readonly string[]> }>()

  constructor(fetched: readonly FetchedRow[]) {
    this.#fetched = new Map(fetched.map((row) => [nameRow(row.table, row.key), row]))
  }

  /** How many rows are asked for. */
  get wantedRows(): number {
    return [...this.#wanted.values()].reduce((sum, { keys }) => sum + keys.size, 0)
  }

  needRows(): NeedRows {
    return {
      kind: 'needRows',
      requests: [...this.#wanted].map(([name, { table, keys }]) => ({
        table: name,
        keyColumns: table.keyNames,
        keys: [...keys.values()],
      })),
    }
  }

  /**
   * The row with all of its values: those that were not sent are the primary's of now, and whatever changed them is
   * still to come. `gone` when the primary does not have (or publish) it any more, `wanted` when it has to be asked.
   */
  complete(table: TableShape, row: Tuple): Tuple | 'gone' | 'wanted' {
    if (isComplete(row)) return row
    const key = keyOf(table, row)
    const fetched = this.#fetched.get(nameRow(table.name, key))
    if (fetched === undefined) {
      this.#want(table, key)
      return 'wanted'
    }
    if (fetched.values === null) return 'gone'
    return fill(table, row, fetched.columns, fetched.values)
  }

  /** The primary's row of now; `wanted` when it has to be asked. */
  whole(table: KeyedTable, key: readonly string[]): FetchedRow | 'wanted' {
    const fetched = this.#fetched.get(nameRow(table.name, key))
    if (fetched === undefined) this.#want(table, key)
    return fetched ?? 'wanted'
  }

  #want(table: KeyedTable, key: readonly string[]): void {
    let wanted = this.#wanted.get(table.name)
    if (wanted === undefined) {
      wanted = { table, keys: new Map() }
      this.#wanted.set(table.name, wanted)
    }
    wanted.keys.set(nameRow(table.name, key), key)
  }
}

function fill(
  table: TableShape,
  row: Tuple,
  columns: readonly string[],
  found: readonly (string | null)[],
): Tuple {
  const kinds = Uint8Array.from(row.kinds)
  const values = [...row.values]
  for (const [place, { name }] of table.relation.columns.entries()) {
    if (kinds[place] !== columnKind.unchanged) continue
    const value = found[columns.indexOf(name)]
    if (value === undefined) throw damagedBatch(`a fetched row of ${table.name} has no ${name}`)
    kinds[place] = value === null ? columnKind.null : columnKind.text
    values[place] = value === null ? null : Buffer.from(value, 'utf8')
  }
  return { kinds, values }
}

function nameRow(table: string, key: readonly string[]): string {
  return JSON.stringify([table, key])
}
