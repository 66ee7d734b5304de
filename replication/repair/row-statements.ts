import type { PublishedTable } from '../../core/published-tables.ts'
import { fragment, identifier, joinSql, literal, renderSql, type SqlFragment } from '../../core/sql.ts'
import type { FetchedRow } from '../relay/cloud-link.ts'
import { textArray } from '../relay/apply/key-text.ts'
import type { Key } from '../verify/row-hash.ts'

/** A statement with its parameters as text. */
export interface TextStatement {
  text: string
  values: readonly (string | null)[]
}

/** Where a repair belongs: what the journal says of it. */
export interface RepairOrigin {
  run: string
  /** the primary's position at which the row is as it is put */
  lsn: string
}

/**
 * The statements, for the cloud, that make a row what the primary has: the journal's, then the row's own. The fetched row
 * is the primary's of a moment at which nobody could write it. None when there is nothing to do: a row to put that the
 * primary does not have (any more), a row to remove that it has.
 */
export function repairStatements(
  table: PublishedTable,
  action: 'put' | 'remove',
  row: FetchedRow,
  origin: RepairOrigin,
): TextStatement[] {
  if (action === 'remove') return row.values === null ? removal(table, row.key, origin) : []
  if (row.values === null) return []
  const values = table.columns.map((column) => row.values?.[row.columns.indexOf(column)] ?? null)
  return [journal('repair/journal-put', table, row.key, origin), put(table, values)]
}

function removal(table: PublishedTable, key: Key, origin: RepairOrigin): TextStatement[] {
  // Another way to write a key that is there, such as 01, was not found on the primary and must not be found here.
  const printed = table.key.map((name, place) =>
    fragment(`t.${identifier(name).sql}::text = $${table.key.length + place + 1}::text`),
  )
  const text = renderSql('repair/remove-row', {
    table: identifier(table.name),
    match: joinSql([matchKey(table), ...printed], ' and '),
  })
  const isThere = fragment(`array[${table.key.map((name) => `t.${identifier(name).sql}::text`).join(', ')}]`)
  return [journal('repair/journal-remove', table, key, origin, isThere), { text, values: [...key, ...key] }]
}

function put(table: PublishedTable, values: readonly (string | null)[]): TextStatement {
  const names = table.columns.map(identifier)
  const text = renderSql('repair/put-row', {
    table: identifier(table.name),
    columns: joinSql(names),
    parameters: joinSql(names.map((_, place) => fragment(`$${place + 1}`))),
    key: joinSql(table.key.map(identifier)),
    assignments: joinSql(names.map(({ sql }) => fragment(`${sql} = excluded.${sql}`))),
  })
  return { text, values }
}

function journal(
  template: string,
  table: PublishedTable,
  key: Key,
  origin: RepairOrigin,
  printedKey = fragment('null'),
): TextStatement {
  const parameter = (place: number): SqlFragment => fragment(`$${table.key.length + place}`)
  const pairs = table.columns.map((name) => {
    const column = identifier(name).sql
    return fragment(`${literal(name).sql}, t.${column}::text`)
  })
  const text = renderSql(template, {
    table: identifier(table.name),
    tableName: literal(table.name),
    match: matchKey(table),
    image: fragment(`jsonb_build_object(${joinSql(pairs).sql})`),
    run: parameter(1),
    keyArray: parameter(2),
    printedKey,
    lsn: parameter(3),
  })
  return { text, values: [...key, origin.run, textArray(key), origin.lsn] }
}

function matchKey(table: PublishedTable): SqlFragment {
  const equal = table.key.map((name, place) => fragment(`t.${identifier(name).sql} = $${place + 1}`))
  return joinSql(equal, ' and ')
}
