import type { Queryable } from '../core/db.ts'
import type { PublishedTable } from '../core/published-tables.ts'
import { fragment, identifier, loadSql, renderSql } from '../core/sql.ts'

export interface ColumnFacts {
  column: string
  /** as format_type prints it */
  type: string
  /** the function that turns a value into its binary wire form, qualified where it must be */
  send: string
  isText: boolean
  /** a row needs a value for it */
  required: boolean
  notNull: boolean
  /** the server makes its values and takes none */
  generated: boolean
  /** as pg_get_expr prints it */
  default: string | null
}

/** One published table as a server's catalogue has it. */
export interface TableFacts {
  table: string
  oid: string
  rowSecurity: boolean
  /** whether the asking role may alter it */
  owned: boolean
  /** columns of the replica identity; null when there is none */
  identity: readonly string[] | null
  /** its columns in order, and the name of its constraint; null when there is none */
  primaryKey: readonly string[] | null
  primaryKeyName: string | null
  columns: readonly ColumnFacts[]
}

/** The published tables a server has, by name; one that it lacks is absent. */
export async function readTableFacts(
  db: Queryable,
  tables: readonly PublishedTable[],
): Promise<Map<string, TableFacts>> {
  const names = [tables.map((table) => table.name)]
  const found = await db.query<Omit<TableFacts, 'columns'>>(loadSql('checks/tables'), names)
  const columns = await db.query<ColumnFacts & { table: string }>(loadSql('checks/columns'), names)
  return new Map(
    found.rows.map((row) => [
      row.table,
      { ...row, columns: columns.rows.filter((column) => column.table === row.table) },
    ]),
  )
}

/** Whether any published table has a row, by name. */
export async function readFilledTables(db: Queryable, names: readonly string[]): Promise<string[]> {
  const filled: string[] = []
  for (const name of names) {
    const { rows } = await db.query<{ filled: boolean }>(
      renderSql('checks/table-is-filled', { table: identifier(name) }),
    )
    if (rows[0]?.filled === true) filled.push(name)
  }
  return filled
}

/** Whether an ingest has ever written here. */
export async function hasIngested(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ present: boolean }>(loadSql('checks/ingest-table'))
  if (rows[0]?.present !== true) return false
  return (await readFilledTables(db, ['ingested_files'])).length > 0
}

/** Rows of each table: with `published` (on the primary) those that the row filter lets through. */
export async function countRows(
  db: Queryable,
  options: { tables: readonly PublishedTable[]; published: boolean },
): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const { name, filter } of options.tables) {
    const condition = fragment(options.published ? (filter ?? 'true') : 'true')
    const sql = renderSql('checks/count-rows', { table: identifier(name), condition })
    const { rows } = await db.query<{ rows: string }>(sql)
    counts.set(name, Number(rows[0]?.rows ?? 0))
  }
  return counts
}
