import type { Queryable } from '../../core/db.ts'
import { errorCode, HomeportError } from '../../core/errors.ts'
import { publishedTables, type PublishedTable } from '../../core/published-tables.ts'
import { fragment, identifier, joinSql, renderSql } from '../../core/sql.ts'
import { readTableFacts, type TableFacts } from '../table-facts.ts'
import type { FetchedRow, RowRequest } from './cloud-link.ts'

const rowsPerQuery = 1_000

/**
 * Rows of the primary by primary key, whole, as text. A row that the publication's filter keeps at home counts as
 * absent: whatever the cloud lacks of it, it must not get it from here.
 */
export async function fetchRows(
  primary: Queryable,
  requests: readonly RowRequest[],
  tables: readonly PublishedTable[] = publishedTables,
): Promise<FetchedRow[]> {
  const asked = requests.map((request) => {
    const table = tables.find((one) => one.name === request.table)
    if (table !== undefined && table.key.join() === request.keyColumns.join()) return { request, table }
    throw new HomeportError('TABLE_NOT_PUBLISHED', `${request.table} is not published with this key`)
  })
  const facts = await readTableFacts(
    primary,
    asked.map(({ table }) => table),
  )
  const fetched: FetchedRow[] = []
  for (const { request, table } of asked) {
    const found = facts.get(table.name)
    if (found === undefined) {
      throw new HomeportError('SCHEMA_MISMATCH', `the primary has no table ${table.name}`, {
        hint: 'ops migrate',
      })
    }
    for (let start = 0; start < request.keys.length; start += rowsPerQuery) {
      fetched.push(
        ...(await fetchSome(primary, table, found, request.keys.slice(start, start + rowsPerQuery))),
      )
    }
  }
  return fetched
}

async function fetchSome(
  primary: Queryable,
  table: PublishedTable,
  facts: TableFacts,
  keys: readonly (readonly string[])[],
): Promise<FetchedRow[]> {
  try {
    return await fetchAtOnce(primary, table, facts, keys)
  } catch (error) {
    // A text that is no value of the key's type: no row has it. Which one it is, each on its own tells.
    if (errorCode(error)?.startsWith('22') !== true) throw error
    const [only] = keys
    if (only !== undefined && keys.length === 1) {
      return [
        { table: table.name, key: only, columns: facts.columns.map(({ column }) => column), values: null },
      ]
    }
    const rows: FetchedRow[] = []
    for (const key of keys) rows.push(...(await fetchSome(primary, table, facts, [key])))
    return rows
  }
}

async function fetchAtOnce(
  primary: Queryable,
  table: PublishedTable,
  facts: TableFacts,
  keys: readonly (readonly string[])[],
): Promise<FetchedRow[]> {
  const columns = facts.columns.map(({ column }) => column)
  const { rows } = await primary.query<{ key: string[]; values: (string | null)[] }>(
    selectRows(table, facts),
    table.key.map((_, place) => keys.map((key) => key[place])),
  )
  const byKey = new Map(rows.map(({ key, values }) => [JSON.stringify(key), values]))
  return keys.map((key) => ({
    table: table.name,
    key,
    columns,
    values: byKey.get(JSON.stringify(key)) ?? null,
  }))
}

function selectRows(table: PublishedTable, facts: TableFacts): string {
  const typeOf = (name: string): string => facts.columns.find(({ column }) => column === name)?.type ?? 'text'
  const text = (name: string): string => `t.${identifier(name).sql}::text`
  return renderSql('relay/fetch-rows', {
    table: identifier(table.name),
    keyText: fragment(`array[${table.key.map(text).join(', ')}]`),
    valueText: fragment(`array[${facts.columns.map(({ column }) => text(column)).join(', ')}]`),
    condition: fragment(table.filter ?? 'true'),
    keys: joinSql(table.key.map((name) => fragment(`t.${identifier(name).sql}`))),
    wantedKeys: joinSql(table.key.map((name, place) => fragment(`w.k${place}::${typeOf(name)}`))),
    arrays: joinSql(table.key.map((_, place) => fragment(`$${place + 1}::text[]`))),
    names: joinSql(table.key.map((_, place) => fragment(`k${place}`))),
  })
}
