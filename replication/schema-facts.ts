import type { Queryable } from '../core/db.ts'
import type { PublishedTable } from '../core/published-tables.ts'
import { loadSql } from '../core/sql.ts'
import { readTableFacts, type TableFacts } from './table-facts.ts'

export interface ConstraintFacts {
  table: string
  name: string
  /** check, foreign key, exclusion */
  kind: 'c' | 'f' | 'x'
  /** as pg_get_constraintdef prints it */
  definition: string
}

export interface IndexFacts {
  table: string
  name: string
  unique: boolean
  primary: boolean
  /** it belongs to a constraint of the same name */
  isConstraint: boolean
  /** method, columns, condition: everything but its name */
  over: string
  /** as pg_get_indexdef prints it */
  definition: string
}

export interface TriggerFacts {
  table: string
  name: string
  /** fires at writes of people (O), of replication (R), of both (A), never (D) */
  enabled: 'O' | 'R' | 'A' | 'D'
  /** as pg_get_triggerdef prints it */
  definition: string
}

/** The published tables of one server in full, and what else there is. */
export interface SchemaFacts {
  tables: ReadonlyMap<string, TableFacts>
  constraints: readonly ConstraintFacts[]
  indexes: readonly IndexFacts[]
  triggers: readonly TriggerFacts[]
  /** tables of our schema that are not published */
  otherTables: readonly string[]
}

/** Reads the catalogue; what a transaction of this session has changed is in it. */
export async function readSchemaFacts(
  db: Queryable,
  tables: readonly PublishedTable[],
): Promise<SchemaFacts> {
  const names = [tables.map((table) => table.name)]
  // One after the other: a session inside a transaction answers one question at a time.
  const facts = await readTableFacts(db, tables)
  const constraints = await db.query<ConstraintFacts>(loadSql('checks/schema-constraints'), names)
  const indexes = await db.query<IndexFacts>(loadSql('checks/schema-indexes'), names)
  const triggers = await db.query<TriggerFacts>(loadSql('checks/schema-triggers'), names)
  const others = await db.query<{ table: string }>(loadSql('checks/schema-other-tables'), names)
  return {
    tables: facts,
    constraints: constraints.rows,
    indexes: indexes.rows,
    triggers: triggers.rows,
    otherTables: others.rows.map((row) => row.table),
  }
}
