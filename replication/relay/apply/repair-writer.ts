import { formatLsn } from '../../../core/lsn.ts'
import { loadSql } from '../../../core/sql.ts'
import { repairStatements, type TextStatement } from '../../repair/row-statements.ts'
import type { Key } from '../../verify/row-hash.ts'
import type { RepairChange } from './change-reader.ts'
import { databaseFault, forbidden, isPoison, type DatabaseFault } from './errors.ts'
import type { RowSupply } from './fetched-rows.ts'
import { textArray } from './key-text.ts'
import { inOneFlight, runPlain, type ApplyContext } from './transaction.ts'

/**
 * Carries out a request of ops repair at its place in the log. It names keys only; the rows are fetched from the primary,
 * where ops repair holds them still until this is committed. Should it be gone, a row may come that is newer than this
 * place: then what made it newer follows, and leads to the same row. Nothing here stops the relay for a row that the
 * cloud refuses: no change is lost with it, the journal says so, and the row stays the drift that it was.
 */
export async function applyRepair(
  context: ApplyContext,
  { request, commitLsn }: RepairChange,
  supply: RowSupply,
): Promise<void> {
  const table = context.tables.find((one) => one.name === request.table)
  if (table === undefined) return
  const origin = { run: request.run, lsn: formatLsn(commitLsn) }
  const repairs: Repair[] = []
  for (const key of request.keys) {
    if (key.length !== table.key.length) continue
    const row = supply.whole({ name: table.name, keyNames: table.key }, key)
    if (row === 'wanted') continue
    const statements = repairStatements(table, request.action, row, origin)
    if (statements.length > 0) repairs.push({ key, statements })
  }
  // Without all rows it is asked for again, from the beginning.
  if (supply.wantedRows > 0 || repairs.length === 0) return
  if ((await carryOut(context, repairs)) === null) return
  for (const repair of repairs) {
    const fault = await carryOut(context, [repair])
    if (fault === null) continue
    if (fault.code === '42501') throw forbidden(fault)
    // A column that the cloud lacks is refused as well: what changes the row itself will stop the relay, with the reason.
    if (!isPoison(fault) && !fault.code.startsWith('42')) throw fault.cause
    const values = [origin.run, table.name, textArray(repair.key), origin.lsn, fault.code]
    await inOneFlight(context, async (flight) =>
      flight.statement(loadSql('repair/journal-refused'), values, () => undefined),
    )
  }
}

interface Repair {
  key: Key
  statements: readonly TextStatement[]
}

/** All of them or none; what the server refused. */
async function carryOut(context: ApplyContext, repairs: readonly Repair[]): Promise<DatabaseFault | null> {
  await runPlain(context, 'savepoint homeport')
  let refused: DatabaseFault | null = null
  try {
    await inOneFlight(context, async (flight) => {
      for (const { text, values } of repairs.flatMap(({ statements }) => statements)) {
        flight.statement(text, values, () => undefined)
      }
    })
  } catch (error) {
    refused = databaseFault(error) ?? null
    if (refused === null) throw error
    await runPlain(context, 'rollback to savepoint homeport')
  }
  await runPlain(context, 'release savepoint homeport')
  return refused
}
