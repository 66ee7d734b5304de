import type { Queryable } from '../../core/db.ts'
import type { PublishedTable } from '../../core/published-tables.ts'
import { readTableFacts, type TableFacts } from '../table-facts.ts'
import { buildHashSql, type HashSql } from './row-hash.ts'

/** A table with what is needed to hash it on both sides. */
export interface Subject {
  table: PublishedTable
  primarySql: HashSql
  cloudSql: HashSql
}

/** The tables that both servers have with all their columns, and why the others cannot be compared. */
export async function readSubjects(
  servers: { primary: Queryable; cloud: Queryable },
  tables: readonly PublishedTable[],
): Promise<{ subjects: Subject[]; broken: { table: PublishedTable; reason: string }[] }> {
  const primary = await readTableFacts(servers.primary, tables)
  const cloud = await readTableFacts(servers.cloud, tables)
  const subjects: Subject[] = []
  const broken: { table: PublishedTable; reason: string }[] = []
  for (const table of tables) {
    const ours = primary.get(table.name)
    const theirs = cloud.get(table.name)
    const reason = lacking('primary', table, ours) ?? lacking('cloud', table, theirs)
    if (reason !== null) broken.push({ table, reason })
    if (ours === undefined || theirs === undefined || reason !== null) continue
    subjects.push({
      table,
      primarySql: buildHashSql(table, ours, true),
      cloudSql: buildHashSql(table, theirs, false),
    })
  }
  return { subjects, broken }
}

function lacking(side: string, table: PublishedTable, facts: TableFacts | undefined): string | null {
  if (facts === undefined) return `the ${side} has no table ${table.name}`
  const has = new Set(facts.columns.map((column) => column.column))
  const missing = table.columns.filter((column) => !has.has(column))
  return missing.length === 0 ? null : `the ${side} lacks ${missing.join(', ')}`
}
