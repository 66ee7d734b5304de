import type { Tuple } from '../../pgoutput/messages.ts'
import type { RowChange, TruncateChange } from './change-reader.ts'
import { chooseStatement, isLenient } from './choose-statement.ts'
import type { Flight } from './flight.ts'
import type { RunSink } from './run-planner.ts'
import { truncateStatement, type TableShape } from './table-shape.ts'

const anyRows = (): void => undefined

/** Writes runs into a flight and notes whether every statement found what it should. */
export class FlightSink implements RunSink {
  /** a row was not found, or could not be written by one statement */
  isUneven = false
  readonly #flight: Flight
  readonly #settled: ReadonlyMap<string, bigint>
  /** rows of each COPY that is on its way */
  readonly #copies: number[] = []

  constructor(flight: Flight, settled: ReadonlyMap<string, bigint>) {
    this.#flight = flight
    this.#settled = settled
  }

  row(change: RowChange): void {
    const lenient = isLenient(change, this.#settled)
    const statement = chooseStatement(change, lenient)
    if (statement === null) this.isUneven = true
    else this.#flight.row(statement, change.old, change.row, lenient ? anyRows : this.#oneRow)
  }

  run(changes: readonly RowChange[]): void {
    const [first] = changes
    if (first === undefined) return
    const { table, row } = first
    const rows = changes.length
    const statement = row === null ? table.deleteRun(rows) : table.updateRun(row, rows)
    this.#flight.run(statement, changes, (count) => {
      if (count !== rows) this.isUneven = true
    })
  }

  copyBegin(table: TableShape): void {
    this.#flight.copyBegin(table.copy(), this.#copied)
  }

  copyRow(row: Tuple): void {
    this.#flight.copyRow(row)
  }

  copyEnd(rows: number): void {
    this.#copies.push(rows)
    this.#flight.copyEnd()
  }

  truncate({ tables, restartIdentity }: TruncateChange): void {
    this.#flight.statement(truncateStatement(tables, restartIdentity), [], anyRows)
  }

  readonly #oneRow = (count: number): void => {
    if (count !== 1) this.isUneven = true
  }

  readonly #copied = (count: number): void => {
    // A trigger in the cloud may have kept a row back.
    if (count !== this.#copies.shift()) this.isUneven = true
  }
}
