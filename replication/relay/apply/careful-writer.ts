import { formatLsn } from '../../../core/lsn.ts'
import { loadSql } from '../../../core/sql.ts'
import type { Tuple } from '../../pgoutput/messages.ts'
import type { ApplyOptions, NeedRows } from '../cloud-link.ts'
import type { RepairChange, RowChange } from './change-reader.ts'
import { chooseStatement, isLenient } from './choose-statement.ts'
import { duplicateKey, forbidden, isPoison, keptBack, poisonRow, schemaMismatch } from './errors.ts'
import type { DatabaseFault } from './errors.ts'
import { RowSupply } from './fetched-rows.ts'
import { describeKey, keyOf, textArray } from './key-text.ts'
import { quarantineRow } from './quarantine.ts'
import { applyRepair } from './repair-writer.ts'
import type { CloudTableFacts } from './schema.ts'
import { trySteps, type Deviation, type Step } from './steps.ts'
import { isComplete, type TableShape } from './table-shape.ts'
import { inOneFlight, readCloudTables, requireSchema, type ApplyContext } from './transaction.ts'

export interface CarefulOptions extends Pick<ApplyOptions, 'quarantine' | 'fetched'> {
  settled: ReadonlyMap<string, bigint>
}

/** How a row that was not there was resolved, for relay_conflicts. */
type Resolution = 'inserted' | 'fetched' | 'gone' | 'already gone'

/** Writes changes within an open transaction and deals with every one that does not fit. */
export class CarefulWriter {
  resolved = 0
  quarantined = 0
  readonly #context: ApplyContext
  readonly #options: CarefulOptions
  readonly #supply: RowSupply
  readonly #described = new Set<TableShape>()
  #cloudTables: CloudTableFacts[] = []

  constructor(context: ApplyContext, options: CarefulOptions) {
    this.#context = context
    this.#options = options
    this.#supply = new RowSupply(options.fetched ?? [])
  }

  /** Rows of the primary without which this cannot be finished. */
  get wantedRows(): number {
    return this.#supply.wantedRows
  }

  needRows(): NeedRows {
    return this.#supply.needRows()
  }

  /** @throws HomeportError SCHEMA_MISMATCH, before anything is written to the table. */
  async describe(shapes: ReadonlySet<TableShape>): Promise<void> {
    const fresh = [...shapes].filter((shape) => !this.#described.has(shape))
    if (fresh.length === 0) return
    this.#cloudTables = await inOneFlight(this.#context, (flight) => readCloudTables(flight, shapes))
    await requireSchema(this.#context, fresh, this.#cloudTables)
    for (const shape of fresh) this.#described.add(shape)
  }

  /** In pieces that shrink down to the change that goes wrong, and grow again behind it. */
  async write(changes: readonly RowChange[]): Promise<void> {
    let size = changes.length
    let start = 0
    while (start < changes.length) {
      const [first] = changes.slice(start)
      if (first === undefined) return
      const steps = this.#steps(changes.slice(start, start + size))
      const deviation = steps.length === 0 ? null : await trySteps(this.#context, steps)
      if (steps.length === 0) {
        await this.#takeCare(first)
        start += 1
      } else if (deviation === null) {
        start += steps.length
        size = Math.max(8, steps.length * 4)
      } else if (deviation.at > 0) {
        size = deviation.at
      } else {
        await this.#resolve(first, deviation)
        start += 1
      }
    }
  }

  /** What ops repair asked for. */
  repair(change: RepairChange): Promise<void> {
    return applyRepair(this.#context, change, this.#supply)
  }

  /** The changes at the beginning for which one statement each will do. */
  #steps(changes: readonly RowChange[]): Step[] {
    const steps: Step[] = []
    for (const change of changes) {
      const { old, row } = change
      const lenient = this.#isLenient(change)
      const statement = chooseStatement(change, lenient)
      if (statement === null) break
      steps.push({ statement, old, row, isLenient: lenient })
    }
    return steps
  }

  #isLenient(change: RowChange): boolean {
    return isLenient(change, this.#options.settled)
  }

  async #resolve(change: RowChange, deviation: Deviation): Promise<void> {
    const { table, kind, row } = change
    if ('fault' in deviation) await this.#refused(change, deviation.fault)
    else if (deviation.count > 1) {
      throw schemaMismatch([`the cloud's ${table.name} has several rows with one primary key`])
    } else if (kind === 'delete') await this.#record(change, 'already gone')
    else if (kind === 'update' && row !== null) await this.#writeMissing(change, row, 'inserted')
    else await this.#refused(change, keptBack(table.name))
  }

  /** What chooseStatement leaves: a row new to the cloud without all its values, a key that changes in a younger copy. */
  async #takeCare(change: RowChange): Promise<void> {
    const { table, old, row } = change
    if (old !== null) {
      const step = { statement: table.delete(old), old, row: null, isLenient: true }
      if (!(await this.#carryOut(change, step))) return
    }
    if (row !== null) await this.#writeMissing(change, row, null)
  }

  /** `resolution` is null where it is no surprise that the row is missing. */
  async #writeMissing(change: RowChange, row: Tuple, resolution: Resolution | null): Promise<void> {
    const { table } = change
    const lenient = this.#isLenient(change)
    const complete = this.#supply.complete(table, row)
    if (complete === 'wanted') return
    if (complete === 'gone') {
      // In a younger copy it is missing because it went before the copy was made.
      if (!lenient) await this.#record(change, 'gone')
      return
    }
    const statement = lenient ? table.insertIfAbsent(complete) : table.insert(complete)
    const filled = { ...change, row: complete }
    const step = { statement, old: null, row: complete, isLenient: lenient }
    if (!(await this.#carryOut(filled, step)) || resolution === null) return
    await this.#record(change, isComplete(row) ? resolution : 'fetched')
  }

  /** False when the change went into quarantine instead. */
  async #carryOut(change: RowChange, step: Step): Promise<boolean> {
    const deviation = await trySteps(this.#context, [step])
    if (deviation === null) return true
    await this.#refused(change, 'fault' in deviation ? deviation.fault : keptBack(change.table.name))
    return false
  }

  async #refused(change: RowChange, fault: DatabaseFault): Promise<void> {
    const { table, commitLsn } = change
    const key = keyOfChange(change)
    const row = `${table.name} (${describeKey(table, key)})`
    if (fault.code === '42501') throw forbidden(fault)
    if (fault.code === '23505') {
      // The copy has a later state of this row or of the other one; what makes them agree is still to come.
      if (this.#isLenient(change) && change.kind === 'update') return
      throw duplicateKey(row, fault)
    }
    if (!isPoison(fault)) throw fault.cause
    if (!this.#options.quarantine) throw poisonRow(row, formatLsn(commitLsn), fault)
    await quarantineRow(this.#context, change, { key, fault, cloudTables: this.#cloudTables })
    this.quarantined += 1
  }

  async #record(change: RowChange, resolution: Resolution): Promise<void> {
    const { table, commitLsn, kind } = change
    const values = [
      this.#context.lease.slot,
      formatLsn(commitLsn),
      table.name,
      // An insert without all its values was an update at home, by which the row entered the publication.
      kind === 'insert' ? 'update' : kind,
      textArray(keyOfChange(change)),
      resolution,
    ]
    await inOneFlight(this.#context, async (flight) =>
      flight.statement(loadSql('relay/record-conflict'), values, () => undefined),
    )
    this.resolved += 1
  }
}

function keyOfChange({ table, old, row }: RowChange): string[] {
  const keyed = old ?? row
  return keyed === null ? [] : keyOf(table, keyed)
}
