import type { Tuple } from '../../pgoutput/messages.ts'
import { databaseFault, type DatabaseFault } from './errors.ts'
import { Flight } from './flight.ts'
import type { RowStatement } from './table-shape.ts'
import { runPlain, type ApplyContext } from './transaction.ts'

/** A statement and what it is written from. */
export interface Step {
  statement: RowStatement
  old: Tuple | null
  row: Tuple | null
  /** any number of rows will do; else exactly one */
  isLenient: boolean
}

/** Where steps went wrong first: refused by the server, or with another number of rows than one. */
export type Deviation = { at: number } & ({ fault: DatabaseFault } | { count: number })

/**
 * Carries out all steps or, with the first that goes wrong, none of them. The transaction goes on either way.
 * @throws errors of the connection, and of the server those that end the transaction.
 */
export async function trySteps(context: ApplyContext, steps: readonly Step[]): Promise<Deviation | null> {
  const { session, flight: flightOptions } = context
  const flight = await Flight.open(session, flightOptions)
  const counts: number[] = []
  const note = (count: number): void => void counts.push(count)
  flight.statement('savepoint homeport', [], () => undefined)
  for (const { statement, old, row } of steps) flight.row(statement, old, row, note)
  let fault: DatabaseFault | undefined
  try {
    await flight.land()
  } catch (error) {
    fault = databaseFault(error)
    if (fault === undefined) throw error
  }
  const deviation = findDeviation(steps, counts, fault)
  if (deviation !== null) await runPlain(context, 'rollback to savepoint homeport')
  await runPlain(context, 'release savepoint homeport')
  return deviation
}

/** `counts` are those of the steps that were done; the next one met the fault. */
export function findDeviation(
  steps: readonly Pick<Step, 'isLenient'>[],
  counts: readonly number[],
  fault: DatabaseFault | undefined,
): Deviation | null {
  for (const [at, count] of counts.entries()) {
    if (count !== 1 && steps[at]?.isLenient !== true) return { at, count }
  }
  return fault === undefined ? null : { at: counts.length, fault }
}
