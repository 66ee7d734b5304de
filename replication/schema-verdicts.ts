import type { PublishedTable } from '../core/published-tables.ts'
import { complaints, type Finding, type Side } from './finding.ts'
import type { TableFacts } from './table-facts.ts'

export interface SchemaInput {
  tables: readonly PublishedTable[]
  primary: ReadonlyMap<string, TableFacts>
  cloud: ReadonlyMap<string, TableFacts>
}

/** Differences between the published list and the two schemas that would stop or bend replication. */
export function judgeSchema(input: SchemaInput): Finding[] {
  const bare = [...judgeBare('primary', input.primary), ...judgeBare('cloud', input.cloud)]
  if (bare.length > 0) return bare
  return input.tables.flatMap((table) => [
    ...judgeTable('primary', table, input.primary.get(table.name)),
    ...judgeTable('cloud', table, input.cloud.get(table.name)),
    ...judgeTypes(table, input.primary.get(table.name), input.cloud.get(table.name)),
  ])
}

function judgeBare(side: Side, found: ReadonlyMap<string, TableFacts>): Finding[] {
  const { findings, complain } = complaints(side)
  if (found.size === 0) complain('NOT_MIGRATED', 'this database has none of the tables', 'ops migrate')
  return findings
}

function judgeTable(side: Side, table: PublishedTable, facts: TableFacts | undefined): Finding[] {
  const { findings, complain } = complaints(side)
  if (facts === undefined) {
    complain('TABLE_MISSING', `there is no table ${table.name}`, 'ops migrate')
    return findings
  }
  const has = new Set(facts.columns.map((column) => column.column))
  const missing = table.columns.filter((column) => !has.has(column))
  if (missing.length > 0) {
    complain('COLUMN_MISSING', `${table.name} lacks ${missing.join(', ')}`, 'ops migrate')
  }
  const unknown = [...has].filter((column) => !table.columns.includes(column))
  const required = facts.columns.some((column) => column.required && unknown.includes(column.column))
  const stops = side === 'primary' || required
  if (unknown.length > 0) {
    complain(
      'COLUMN_UNKNOWN',
      `${table.name} has columns that Homeport does not know: ${unknown.join(', ')}`,
      stops
        ? `they stop replication: alter table ${table.name} drop column ..., or keep them in a table of your own`
        : `they stay empty: alter table ${table.name} drop column ...`,
      stops ? 'error' : 'warning',
    )
  }
  if (facts.rowSecurity) {
    complain(
      'ROW_SECURITY',
      `row level security is on for ${table.name}; replication and the reader would miss rows`,
      `alter table ${table.name} disable row level security`,
    )
  }
  if (!facts.owned) {
    const denied = side === 'primary' ? 'publish it' : 'let replication fill it'
    complain(
      'NOT_OWNER',
      `this role does not own ${table.name} and may not ${denied}`,
      'use the owner of the tables',
    )
  }
  const needed = [...table.key, ...filterColumns(table)]
  const lacking = needed.filter((column) => facts.identity?.includes(column) !== true)
  if (lacking.length > 0) {
    complain(
      'REPLICA_IDENTITY',
      `the replica identity of ${table.name} lacks ${lacking.join(', ')}`,
      `alter table ${table.name} replica identity using index ${table.name}_identity`,
    )
  }
  return findings
}

function judgeTypes(
  table: PublishedTable,
  primary: TableFacts | undefined,
  cloud: TableFacts | undefined,
): Finding[] {
  if (primary === undefined || cloud === undefined) return []
  const { findings, complain } = complaints('cloud')
  for (const column of primary.columns) {
    const other = cloud.columns.find((one) => one.column === column.column)
    if (other === undefined || unqualified(other.type) === unqualified(column.type)) continue
    complain(
      'TYPE_DIFFERS',
      `${table.name}.${column.column} is ${other.type} here and ${column.type} on the primary`,
      'ops migrate; if that changes nothing, one of the two was altered by hand',
    )
  }
  return findings
}

/** pgvector may live in another schema on each side. */
function unqualified(type: string): string {
  return type.replace(/^.*\./, '')
}

/** The columns a row filter looks at. */
export function filterColumns(table: PublishedTable): string[] {
  const words = new Set((table.filter ?? '').replace(/'[^']*'/g, '').match(/\w+/g))
  return table.columns.filter((column) => words.has(column))
}
