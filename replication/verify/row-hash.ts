import type { PublishedTable } from '../../core/published-tables.ts'
import { fragment, identifier, joinSql, literal, type SqlFragment } from '../../core/sql.ts'
import type { ColumnFacts, TableFacts } from '../table-facts.ts'

/** Values of the key columns as text, in the order of the key. */
export type Key = readonly string[]

/** Keys from `from` (with it) to `to` (without it); null is open. */
export interface KeyRange {
  from: Key | null
  to: Key | null
}

export const wholeTable: KeyRange = { from: null, to: null }

/** The pieces of SQL that hash the rows of one table on one server. */
export interface HashSql {
  table: SqlFragment
  /** every column as the bytes it has on the wire: c0, c1 ... */
  values: SqlFragment
  /** int8 over all columns of a row */
  hash: SqlFragment
  /** int8[] with a hash for each column */
  columnHashes: SqlFragment
  /** text[] */
  keyText: SqlFragment
  /** the key columns, in an order that both servers share */
  keys: SqlFragment
  keyColumns: readonly ColumnFacts[]
  /** the key columns as they are */
  plainKeys: SqlFragment
  /** rows that count: those that are published */
  filter: SqlFragment
}

/**
 * The hash of a row: the first 8 bytes, as int8, of sha256 over its columns in the order of the
 * published list, each a null tag, its length and its bytes as `*_send` gives them. Not `row::text`,
 * which depends on settings, and not `record_send`, which carries type ids that differ between
 * servers. `*_send` of text gives client_encoding, which every session of ours pins to UTF8.
 *
 * `published` is set on the primary, where the row filter decides which rows count; on the cloud every
 * row counts, so that one which should not be there is found.
 */
export function buildHashSql(table: PublishedTable, facts: TableFacts, published: boolean): HashSql {
  const columns = table.columns.map((name) => columnOf(facts, name))
  const keyColumns = table.key.map((name) => columnOf(facts, name))
  const frames = columns.map((_, place) => frame(`s.c${place}`))
  return {
    table: identifier(table.name),
    values: joinSql(
      columns.map((column, place) =>
        fragment(`${column.send}(t.${identifier(column.column).sql}) as c${place}`),
      ),
    ),
    hash: shortHash(concatenate(frames)),
    columnHashes: fragment(`array[${frames.map((one) => shortHash(one).sql).join(', ')}]::text[]`),
    keyText: fragment(
      `array[${keyColumns.map((column) => `t.${identifier(column.column).sql}::text`).join(', ')}]`,
    ),
    keys: joinSql(keyColumns.map((column) => comparable(`t.${identifier(column.column).sql}`, column))),
    keyColumns,
    plainKeys: joinSql(keyColumns.map((column) => fragment(`t.${identifier(column.column).sql}`))),
    filter: fragment(published ? `(${table.filter ?? 'true'})` : 'true'),
  }
}

/**
 * The rows that count within a range of keys, as a condition. Columns in which both ends agree are compared by
 * themselves: a btree scan with two row comparisons begins where the one says, but does not stop where the other does.
 */
export function rangeCondition(sql: HashSql, range: KeyRange): SqlFragment {
  const { from, to } = range
  const columns = sql.keyColumns.map((column, place) => ({
    name: comparable(`t.${identifier(column.column).sql}`, column),
    valueIn: (key: Key) => comparable(`${literal(key[place] ?? '').sql}::${column.type}`, column),
    isShared: from !== null && to !== null && from[place] === to[place],
  }))
  const firstOwn = columns.findIndex((column) => !column.isShared)
  const shared = firstOwn < 0 ? columns : columns.slice(0, firstOwn)
  const own = columns.slice(shared.length)
  const same = from === null ? [] : shared.map(({ name, valueIn }) => `${name.sql} = ${valueIn(from).sql}`)
  const bound = (operator: string, key: Key | null): string[] => {
    if (key === null) return []
    // From a key to itself there is nothing.
    if (own.length === 0) return operator === '<' ? ['false'] : []
    const names = joinSql(own.map(({ name }) => name)).sql
    return [`(${names}) ${operator} (${joinSql(own.map(({ valueIn }) => valueIn(key))).sql})`]
  }
  const conditions = [sql.filter.sql, ...same, ...bound('>=', from), ...bound('<', to)]
  return fragment(conditions.join(' and '))
}

/** Text in the order of its bytes: collations differ between servers. */
export function comparable(expression: string, column: ColumnFacts): SqlFragment {
  return fragment(column.isText ? `${expression} collate "C"` : expression)
}

function columnOf(facts: TableFacts, name: string): ColumnFacts {
  const column = facts.columns.find((one) => one.column === name)
  if (column === undefined) throw new Error(`${facts.table} has no column ${name}`)
  return column
}

function frame(value: string): SqlFragment {
  return fragment(
    `case when ${value} is null then '\\x00'::bytea else '\\x01'::bytea || int4send(octet_length(${value})) || ${value} end`,
  )
}

function shortHash(bytes: SqlFragment): SqlFragment {
  return fragment(`('x' || encode(substr(sha256(${bytes.sql}), 1, 8), 'hex'))::bit(64)::bigint`)
}

/** As a balanced tree: from left to right, long rows would be copied once for each column. */
function concatenate(parts: readonly SqlFragment[]): SqlFragment {
  const [first] = parts
  if (first === undefined) return fragment("''::bytea")
  if (parts.length === 1) return fragment(`(${first.sql})`)
  const middle = Math.ceil(parts.length / 2)
  return fragment(`(${concatenate(parts.slice(0, middle)).sql} || ${concatenate(parts.slice(middle)).sql})`)
}
