import type { Tuple } from '../../pgoutput/messages.ts'
import type { RowChange, TruncateChange } from './change-reader.ts'
import { InsertRuns, type Insert } from './insert-runs.ts'
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

/** They hold for a COPY too. */
export interface RunLimits extends RowRunLimits {
  /** shorter runs go row by row */
  minRows: number
}

export const runLimits: RunLimits = { minRows: 8, maxRows: 500, maxBytes: 1 << 20 }

/**
 * Cuts changes into runs: inserts become COPY, updates and deletes one statement as far as they can, everything else goes
 * row by row, in one flight with the rest. Nothing changes its place but inserts among inserts of other tables; where
 * that should ever matter, the cloud refuses, and the batch is written again change by change, see careful.ts.
 */
export class RunPlanner {
  /** what was handed over: COPYs, statements of many rows, single rows */
  runs = 0
  readonly #sink: RunSink
  readonly #limits: RunLimits
  readonly #isLenient: (change: RowChange) => boolean
  readonly #inserts: InsertRuns
  /** updates or deletes that wait for the end of their run */
  #run: RowRun | null = null

  constructor(
    sink: RunSink,
    isLenient: (change: RowChange) => boolean = () => false,
    limits: RunLimits = runLimits,
  ) {
    this.#sink = sink
    this.#isLenient = isLenient
    this.#limits = limits
    this.#inserts = new InsertRuns(limits)
  }

  add(change: RowChange | TruncateChange): void {
    if (change.kind === 'truncate') {
      this.end()
      this.#sink.truncate(change)
      this.runs += 1
    } else if (this.#isForCopy(change)) {
      this.#endRun()
      this.#insert(change)
    } else {
      this.#endInserts()
      if (suitsRun(change) && !this.#isLenient(change)) this.#join(change)
      else {
        this.#endRun()
        this.#row(change)
      }
    }
  }

  /** Nothing waits after this. */
  end(): void {
    this.#endInserts()
    this.#endRun()
  }

  #isForCopy(change: RowChange): change is Insert {
    return (
      change.kind === 'insert' &&
      change.row !== null &&
      change.table.isBinary(change.row) &&
      !this.#isLenient(change)
    )
  }

  #insert(change: Insert): void {
    if (!this.#inserts.add(change)) {
      this.#endInserts()
      this.#inserts.add(change)
    }
    if (this.#inserts.isFull) this.#endInserts()
  }

  #join(change: RowChange): void {
    if (this.#run?.add(change) === false) this.#endRun()
    if (this.#run === null) {
      this.#run = new RowRun(this.#limits)
      this.#run.add(change)
    }
    if (this.#run.isFull) this.#endRun()
  }

  #endInserts(): void {
    for (const { table, inserts } of this.#inserts.take()) {
      if (inserts.length < this.#limits.minRows) {
        for (const insert of inserts) this.#row(insert)
        continue
      }
      this.#sink.copyBegin(table)
      for (const { row } of inserts) this.#sink.copyRow(row)
      this.#sink.copyEnd(inserts.length)
      this.runs += 1
    }
  }

  #endRun(): void {
    const changes = this.#run?.changes ?? []
    this.#run = null
    if (changes.length < this.#limits.minRows) {
      for (const change of changes) this.#row(change)
      return
    }
    this.#sink.run(changes)
    this.runs += 1
  }

  #row(change: RowChange): void {
    this.#sink.row(change)
    this.runs += 1
  }
}
