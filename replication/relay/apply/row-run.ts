import { columnKind, type Tuple } from '../../pgoutput/messages.ts'
import type { RowChange } from './change-reader.ts'
import { changesKey } from './choose-statement.ts'

export interface RowRunLimits {
  /** one statement writes no more: its work has a bound, however large the run */
  maxRows: number
  /** of values; with them it has a bound in memory */
  maxBytes: number
}

/** As many as a Bind message can count. */
const maxParameters = 65_535

/**
 * Updates or deletes of one table that one statement can carry out, because it does not matter in which order it
 * does: each is of another row. They also send the same columns, as the statement names them.
 */
export class RowRun {
  readonly changes: RowChange[] = []
  readonly #limits: RowRunLimits
  /** of the rows so far: a statement changes a row once, with any one of the values it finds for it */
  readonly #keys = new Set<string>()
  #bytes = 0

  constructor(limits: RowRunLimits) {
    this.#limits = limits
  }

  /** False, and nothing added, when a change begins another run: it is of a row of this one, sends other columns, or is too much. */
  add(change: RowChange): boolean {
    const [first] = this.changes
    const key = nameKey(change)
    const bytes = sizeOf(change)
    if (first !== undefined) {
      const isAlike =
        first.table === change.table && first.kind === change.kind && sendsSame(first.row, change.row)
      if (!isAlike || this.isFull || this.#bytes + bytes > this.#limits.maxBytes || this.#keys.has(key)) {
        return false
      }
    }
    this.changes.push(change)
    this.#keys.add(key)
    this.#bytes += bytes
    return true
  }

  /** Whether it takes nothing more. */
  get isFull(): boolean {
    const { maxRows, maxBytes } = this.#limits
    const [first] = this.changes
    if (first === undefined) return false
    const countable = Math.floor(maxParameters / first.table.relation.columns.length)
    return this.changes.length >= Math.min(maxRows, countable) || this.#bytes >= maxBytes
  }
}

/**
 * Whether a change can be part of a run: an update that leaves the key as it is, or a delete, with every value as
 * bytes. A parameter of a run has one format for all rows.
 */
export function suitsRun(change: RowChange): boolean {
  const { kind, table, old, row } = change
  if (kind === 'insert') return false
  const isBytes = (tuple: Tuple, column: number): boolean => tuple.kinds[column] === columnKind.binary
  if (old !== null && !table.key.every((column) => isBytes(old, column))) return false
  if (row === null) return old !== null
  if (row.kinds.includes(columnKind.text)) return false
  return table.key.every((column) => isBytes(row, column)) && !changesKey(table, old, row)
}

function sendsSame(one: Tuple | null, other: Tuple | null): boolean {
  if (one === null || other === null) return one === other
  for (let column = 0; column < one.kinds.length; column++) {
    const isSent = one.kinds[column] !== columnKind.unchanged
    if (isSent !== (other.kinds[column] !== columnKind.unchanged)) return false
  }
  return true
}

/** The key's bytes, each value after its length, so that no two keys share a name. */
function nameKey({ table, old, row }: RowChange): string {
  let name = ''
  for (const column of table.key) {
    const value = (row ?? old)?.values[column]
    name += `${value?.length}:${value?.toString('latin1')}`
  }
  return name
}

/** Bytes that go into the statement, or somewhat more. */
export function sizeOf({ old, row }: RowChange): number {
  let bytes = 0
  for (const value of (row ?? old)?.values ?? []) bytes += 4 + (value?.length ?? 0)
  return bytes
}
