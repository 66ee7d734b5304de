import type { Tuple } from '../../pgoutput/messages.ts'
import { publishedTables } from '../../../core/published-tables.ts'
import type { RowChange } from './change-reader.ts'
import { sizeOf, type RowRunLimits } from './row-run.ts'
import type { TableShape } from './table-shape.ts'

export type Insert = RowChange & { row: Tuple }

interface Run {
  table: TableShape
  inserts: Insert[]
}

/**
 * Inserts that wait to become one COPY a table. A source comes as one row here, sixty there, sixty elsewhere: as long
 * as nothing but inserts comes, those of the next sources join them, since the cloud sees all of a batch at once. Within
 * a table they keep their order, and tables are written as they refer to each other.
 */
export class InsertRuns {
  readonly #limits: RowRunLimits
  readonly #runs = new Map<string, Run>()
  #bytes = 0
  #isFull = false

  constructor(limits: RowRunLimits) {
    this.#limits = limits
  }

  /** False, and nothing added, when a table comes in another shape: what waits is to be taken first. */
  add(insert: Insert): boolean {
    const { table } = insert
    let run = this.#runs.get(table.name)
    if (run === undefined) {
      run = { table, inserts: [] }
      this.#runs.set(table.name, run)
    }
    if (run.table !== table) return false
    run.inserts.push(insert)
    this.#bytes += sizeOf(insert)
    this.#isFull ||= run.inserts.length >= this.#limits.maxRows
    return true
  }

  /** Whether what waits is as much as should wait. */
  get isFull(): boolean {
    return this.#isFull || this.#bytes >= this.#limits.maxBytes
  }

  /** What waits, in the order to write it; nothing waits any more. */
  take(): Run[] {
    const runs = [...this.#runs.values()]
    this.#runs.clear()
    this.#bytes = 0
    this.#isFull = false
    return runs.length < 2 ? runs : runs.sort((a, b) => rankOf(a.table) - rankOf(b.table))
  }
}

const ranks: ReadonlyMap<string, number> = new Map(publishedTables.map(({ name }, rank) => [name, rank]))

function rankOf({ name }: TableShape): number {
  return ranks.get(name) ?? ranks.size
}
