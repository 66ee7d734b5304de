import type { PublishedTable } from '../core/published-tables.ts'
import { complaints, type Finding, type Side } from './finding.ts'
import { compareColumns, isSameType } from './schema-columns.ts'
import { plainName, toFinding } from './schema-difference.ts'
import { compareTables } from './schema-tables.ts'
import type { TableFacts } from './table-facts.ts'

export interface SchemaInput {
  tables: readonly PublishedTable[]
  primary: ReadonlyMap<string, TableFacts>
  cloud: ReadonlyMap<string, TableFacts>
}

/** Differences between the published list and the two schemas that would stop or bend replication, each with its statement. */
export function judgeSchema(input: SchemaInput): Finding[] {
  const bare = [...judgeBare('primary', input.primary), ...judgeBare('cloud', input.cloud)]
  if (bare.length > 0) return bare
  return input.tables.flatMap((table) => {
    const primary = input.primary.get(table.name)
    const cloud = input.cloud.get(table.name)
    return [
      ...compareTables(table, primary, cloud).map(toFinding),
      ...judgeOwner('primary', primary),
      ...judgeOwner('cloud', cloud),
      ...(primary === undefined || cloud === undefined
        ? []
        : [
            ...compareColumns(table, primary, cloud).map(toFinding).filter(isAboutReplication),
            ...judgeUnknown(table, primary, cloud),
          ]),
    ]
  })
}

function judgeBare(side: Side, found: ReadonlyMap<string, TableFacts>): Finding[] {
  const { findings, complain } = complaints(side)
  if (found.size === 0) complain('NOT_MIGRATED', 'this database has none of the tables', 'ops migrate')
  return findings
}

/** What only a comparison of two schemas is about: ops schema diff lists it. */
function isAboutReplication({ code, severity }: Finding): boolean {
  return severity === 'error' || code === 'COLUMN_UNKNOWN'
}

function judgeOwner(side: Side, facts: TableFacts | undefined): Finding[] {
  if (facts === undefined || facts.owned) return []
  const { findings, complain } = complaints(side)
  const denied = side === 'primary' ? 'publish it' : 'let replication fill it'
  complain(
    'NOT_OWNER',
    `this role does not own ${facts.table} and may not ${denied}`,
    'use the owner of the tables',
  )
  return findings
}

/** Columns that both have and Homeport does not know travel, but nobody proves them. */
function judgeUnknown(table: PublishedTable, primary: TableFacts, cloud: TableFacts): Finding[] {
  const shared = primary.columns.filter(
    (column) =>
      !table.columns.includes(column.column) &&
      cloud.columns.some((other) => other.column === column.column && isSameType(other, column)),
  )
  return shared.map(({ column }) => ({
    code: 'COLUMN_UNPROVEN',
    side: 'primary',
    severity: 'warning',
    table: table.name,
    message: `${table.name}.${column} is none of Homeport's columns: what is written to it travels, and ops verify does not compare it`,
    fix: `keep it in a table of your own; or, first on the primary, then on the cloud: alter table ${table.name} drop column ${plainName(column)}`,
  }))
}
