import type { Tuple } from '../../pgoutput/messages.ts'
import type { Change, RowChange, TruncateChange } from './change-reader.ts'
import { RowRun, suitsRun, type RowRunLimits } from './row-run.ts'
import type { TableShape } from './table-shape.ts'

/** What carries a plan out, in the order of the calls. */
export interface RunSink {
  /** one row by a statement of its own */
  row(change: RowChange): void
  /** updates or deletes of one table by one statement, see {@link RowRun} */
  run(changes: readonly RowChange[]): void
  copyBegin(table: TableShape): void
  copyRow(row: Tuple): void
  copyEnd(rows: number): void
  truncate(change: TruncateChange): void
}

/** A COPY too ends at the most rows, and another begins. */
export interface RunLimits extends RowRunLimits {
  /** shorter runs go row by row */
  minRows: number
}

export const runLimits: RunLimits = { minRows: 8, maxRows: 500, maxBytes: 1 << 20 }

/**
 * Cuts changes into runs without changing their order: inserts that follow each other in one table become COPY,
 * updates and deletes one statement as far as they can, everything else goes row by row, in one flight with the rest.
 */
export class RunPlanner {
  /** runs that are complete: of one table and operation, or as far as one statement goes */
  runs = 0
  readonly #sink: RunSink
  readonly #limits: RunLimits
  readonly #isLenient: (change: RowChange) => boolean
  /** the first inserts of what may become a COPY */
  #held: RowChange[] = []
  #copying: { table: TableShape; rows: number } | null = null
  /** updates or deletes that wait for the end of their run */
  #run: RowRun | null = null
  #last: RowChange | null = null

  constructor(
    sink: RunSink,
    isLenient: (change: RowChange) => boolean = () => false,
    limits: RunLimits = runLimits,
  ) {
    this.#sink = sink
    this.#isLenient = isLenient
    this.#limits = limits
  }

  add(change: Change): void {
    if (change.kind === 'truncate') {
      this.#cut()
      this.#sink.truncate(change)
      this.runs += 1
      return
    }
    if (this.#last !== null && (this.#last.table !== change.table || this.#last.kind !== change.kind))
      this.#cut()
    this.#last = change
    if (this.#isForCopy(change)) this.#insert(change)
    else if (suitsRun(change) && !this.#isLenient(change)) this.#join(change)
    else {
      this.#letGo()
      this.#sink.row(change)
    }
  }

  end(): void {
    this.#cut()
  }

  #isForCopy(change: RowChange): change is RowChange & { row: Tuple } {
    return (
      change.kind === 'insert' &&
      change.row !== null &&
      change.table.isBinary(change.row) &&
      !this.#isLenient(change)
    )
  }

  #insert(change: RowChange & { row: Tuple }): void {
    if (this.#copying === null && this.#held.length + 1 < this.#limits.minRows) {
      this.#held.push(change)
      return
    }
    const held = this.#held
    this.#held = []
    for (const { table, row } of held) if (row !== null) this.#copy(table, row)
    this.#copy(change.table, change.row)
  }

  #copy(table: TableShape, row: Tuple): void {
    if (this.#copying === null) {
      this.#copying = { table, rows: 0 }
      this.#sink.copyBegin(table)
    }
    this.#sink.copyRow(row)
    this.#copying.rows += 1
    if (this.#copying.rows >= this.#limits.maxRows) this.#endRun()
  }

  #join(change: RowChange): void {
    if (this.#run?.add(change) === false) this.#endRun()
    if (this.#run === null) {
      this.#run = new RowRun(this.#limits)
      this.#run.add(change)
    }
    if (this.#run.isFull) this.#endRun()
  }

  #endRun(): void {
    this.#letGo()
    this.runs += 1
  }

  /** Nothing is held back after this. */
  #letGo(): void {
    if (this.#copying !== null) this.#sink.copyEnd(this.#copying.rows)
    this.#copying = null
    for (const change of this.#held) this.#sink.row(change)
    this.#held = []
    const changes = this.#run?.changes ?? []
    this.#run = null
    if (changes.length >= this.#limits.minRows) this.#sink.run(changes)
    else for (const change of changes) this.#sink.row(change)
  }

  #cut(): void {
    this.#letGo()
    if (this.#last !== null) this.runs += 1
    this.#last = null
  }
}
