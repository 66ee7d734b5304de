import type { Queryable } from '../../../core/db.ts'
import { publishedTables } from '../../../core/published-tables.ts'
import { fragment, identifier, loadSql, renderSql } from '../../../core/sql.ts'
import type { Step } from '../../step.ts'

export interface ForeignKey {
  table: string
  name: string
  /** as pg_get_constraintdef prints it */
  definition: string
}

/** The foreign keys between published tables. */
export async function readForeignKeys(db: Queryable): Promise<ForeignKey[]> {
  const names = publishedTables.map((table) => table.name)
  return (await db.query<ForeignKey>(loadSql('checks/foreign-keys'), [names])).rows
}

/**
 * A role that may not switch them off would be stopped by them: rows come in the order of the log, in
 * the initial copy in none, and a row that leaves the published ones goes before those that refer to it. The
 * primary has the same keys, and has checked every row.
 */
export function planDroppedKeys(keys: readonly ForeignKey[]): Step[] {
  return keys.map(({ table, name }) => ({
    side: 'cloud',
    what: `drop the foreign key ${name}, which the write role may not switch off (teardown brings it back)`,
    sql: renderSql('replication/drop-foreign-key', { table: identifier(table), name: identifier(name) }),
  }))
}

/** The statements that bring back what the primary has and the cloud lacks. */
export function planRestoredKeys(
  primary: readonly ForeignKey[],
  cloud: readonly ForeignKey[],
): { key: ForeignKey; sql: string }[] {
  const has = new Set(cloud.map(({ table, name }) => JSON.stringify([table, name])))
  return primary
    .filter(({ table, name }) => !has.has(JSON.stringify([table, name])))
    .map((key) => ({
      key,
      sql: renderSql('replication/add-foreign-key', {
        table: identifier(key.table),
        name: identifier(key.name),
        definition: fragment(key.definition),
      }),
    }))
}
