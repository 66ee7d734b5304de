import { formatLsn } from '../../../core/lsn.ts'
import { fragment, identifier, joinSql, loadSql, renderSql } from '../../../core/sql.ts'
import { columnKind, type Tuple } from '../../pgoutput/messages.ts'
import type { RowChange } from './change-reader.ts'
import { databaseFault, type DatabaseFault } from './errors.ts'
import { textArray } from './key-text.ts'
import type { CloudTableFacts } from './schema.ts'
import { sentColumns, type RowStatement, type TableShape } from './table-shape.ts'
import { inOneFlight, runPlain, type ApplyContext } from './transaction.ts'

/** Puts a change aside in relay_quarantine, with the row as the cloud has it and as it was to become. */
export async function quarantineRow(
  context: ApplyContext,
  change: RowChange,
  found: { key: readonly string[]; fault: DatabaseFault; cloudTables: readonly CloudTableFacts[] },
): Promise<void> {
  const { table, old, row, kind, commitLsn } = change
  const { key, fault, cloudTables } = found
  const before = await inOneFlight(context, (flight) => flight.rowsOf(table.image(old !== null), old, row))
  const after = row === null ? null : await imageOf(context, table, row, cloudTables)
  const values = [
    context.lease.slot,
    formatLsn(commitLsn),
    table.name,
    kind,
    textArray(key),
    before[0]?.['image'] ?? null,
    after,
    fault.code,
    fault.message,
  ]
  await inOneFlight(context, async (flight) =>
    flight.statement(loadSql('relay/record-quarantine'), values, () => undefined),
  )
}

/** The values that were sent, as JSON. */
async function imageOf(
  context: ApplyContext,
  table: TableShape,
  row: Tuple,
  cloudTables: readonly CloudTableFacts[],
): Promise<string> {
  const statement = valuesImage(table, row, cloudTables)
  await runPlain(context, 'savepoint homeport')
  try {
    const [found] = await inOneFlight(context, (flight) => flight.rowsOf(statement, null, row))
    return found?.['image'] ?? rawImage(table, row)
  } catch (error) {
    if (databaseFault(error) === undefined) throw error
    // What the type itself refuses has no other text than its bytes.
    await runPlain(context, 'rollback to savepoint homeport')
    return rawImage(table, row)
  } finally {
    await runPlain(context, 'release savepoint homeport')
  }
}

function valuesImage(table: TableShape, row: Tuple, cloudTables: readonly CloudTableFacts[]): RowStatement {
  const facts = cloudTables.find((one) => one.name === table.name)?.columns ?? []
  const columns = sentColumns(row)
  const parameters = columns.map((column, index) => {
    const name = table.relation.columns[column]?.name ?? ''
    // A type's name comes from the catalogue, quoted where it must be.
    const type = facts.find((fact) => fact.name === name)?.bareType ?? 'text'
    return fragment(`$${index + 1}::${type} as ${identifier(name).sql}`)
  })
  const text = renderSql('relay/values-image', { parameters: joinSql(parameters) })
  return { text, parameters: columns.map((column) => ({ isOld: false, column })) }
}

/** Text as it came, bytes in hexadecimal. */
export function rawImage(table: TableShape, row: Tuple): string {
  const image: Record<string, string | null> = {}
  for (const column of sentColumns(row)) {
    const value = row.values[column] ?? null
    const isText = row.kinds[column] === columnKind.text
    const shown = isText ? value?.toString('utf8') : value && `\\x${value.toString('hex')}`
    image[table.relation.columns[column]?.name ?? ''] = shown ?? null
  }
  return JSON.stringify(image)
}
