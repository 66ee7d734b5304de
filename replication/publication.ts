import type { Queryable } from '../core/db.ts'
import type { PublishedTable } from '../core/published-tables.ts'
import { fragment, identifier, loadSql, renderSql } from '../core/sql.ts'
import type { Step } from './step.ts'

export interface PublicationState {
  allTables: boolean
  allOperations: boolean
  tables: readonly { schema: string; table: string; columnList: boolean; filter: string | null }[]
}

/** The publication as the primary has it; null when there is none. */
export async function readPublication(db: Queryable, name: string): Promise<PublicationState | null> {
  const { rows } = await db.query<PublicationState>(loadSql('checks/publication'), [name])
  return rows[0] ?? null
}

/** The statements that bring the publication in step with the list of tables; none when it is. */
export function planPublication(
  name: string,
  tables: readonly PublishedTable[],
  state: PublicationState | null,
): Step[] {
  const publication = identifier(name)
  const list = fragment(
    tables
      .map((table) => `public.${table.name}${table.filter === undefined ? '' : ` where (${table.filter})`}`)
      .join(', '),
  )
  const step = (what: string, template: string): Step => ({
    side: 'primary',
    what,
    sql: renderSql(`replication/${template}`, { publication, tables: list }),
  })
  if (state === null) return [step('publish the tables, public rows only', 'create-publication')]
  return [
    ...(sameTables(tables, state)
      ? []
      : [step('bring the published tables in step', 'set-publication-tables')]),
    ...(state.allOperations ? [] : [step('publish every kind of change', 'set-publication-operations')]),
  ]
}

function sameTables(tables: readonly PublishedTable[], state: PublicationState): boolean {
  if (tables.length !== state.tables.length) return false
  return tables.every((wanted) => {
    const found = state.tables.find((one) => one.schema === 'public' && one.table === wanted.name)
    return (
      found !== undefined &&
      !found.columnList &&
      plainFilter(found.filter) === plainFilter(wanted.filter ?? null)
    )
  })
}

/** A filter without what the catalogue adds: casts and parentheses of its own. */
export function plainFilter(filter: string | null): string {
  return (filter ?? '').replace(/::text|[()\s]/g, '').toLowerCase()
}
