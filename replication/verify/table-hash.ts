import type { Queryable } from '../../core/db.ts'
import { fragment, joinSql, renderSql, type SqlFragment } from '../../core/sql.ts'
import { comparable, rangeCondition, wholeTable, type HashSql, type Key, type KeyRange } from './row-hash.ts'

/** Count, xor and two sums over the hashes of a set of rows. */
export interface BucketHash {
  rows: number
  xor: string
  highSum: string
  lowSum: string
}

/** One row as far as it takes part in a comparison. */
export interface RowVersion {
  key: Key
  hash: string
  /** another one whenever the row was written again on that server */
  version: string
}

export function sameBucket(a: BucketHash, b: BucketHash): boolean {
  return a.rows === b.rows && a.xor === b.xor && a.highSum === b.highSum && a.lowSum === b.lowSum
}

export async function hashTable(db: Queryable, sql: HashSql): Promise<BucketHash> {
  const { buckets } = await hashRanges(db, sql, [wholeTable])
  const [bucket] = buckets
  if (bucket === undefined) throw new Error('a table gave no hash')
  return bucket
}

/** Buckets, and what they took within the server. */
export interface HashedRanges {
  buckets: BucketHash[]
  serverMs: number
}

/**
 * One bucket a range, in their order, in one statement. With `restEveryRows` the session sleeps a millisecond after that
 * many rows, on average: a pause that is left to the client costs a round trip.
 */
export async function hashRanges(
  db: Queryable,
  sql: HashSql,
  ranges: readonly KeyRange[],
  restEveryRows: number | null = null,
): Promise<HashedRanges> {
  type Row = Omit<BucketHash, 'rows'> & { rows: string; serverMs: number }
  const statements = ranges.map((range, place) =>
    renderSql('checks/table-hash', {
      ...pick(sql),
      rest: rest(restEveryRows),
      bucket: fragment(String(place)),
      condition: rangeCondition(sql, range),
    }),
  )
  const { rows } = await db.query<Row>(`${statements.join('\nunion all\n')}\norder by 1`)
  const buckets = rows.map(({ xor, highSum, lowSum, ...row }) => ({
    rows: Number(row.rows),
    xor,
    highSum,
    lowSum,
  }))
  return { buckets, serverMs: Math.max(0, ...rows.map((row) => row.serverMs)) }
}

/** A server sleeps in whole milliseconds until the time is over: asked for one, it would sleep two. */
function rest(everyRows: number | null): SqlFragment {
  return fragment(
    everyRows === null ? 'null' : `case when random() * ${everyRows} < 1 then pg_sleep(0.0009) end`,
  )
}

/** Every row of a range: small ranges only. */
export async function readRowHashes(db: Queryable, sql: HashSql, range: KeyRange): Promise<RowVersion[]> {
  const { rows } = await db.query<RowVersion>(
    renderSql('checks/row-hashes', { ...pick(sql), condition: rangeCondition(sql, range) }),
  )
  return rows
}

/** The rows with these keys, each with a hash for every column unless these are not wanted: they cost as much again. */
export async function readRowsByKey(
  db: Queryable,
  sql: HashSql,
  keys: readonly Key[],
  withColumns = true,
): Promise<(RowVersion & { columnHashes: string[] })[]> {
  if (keys.length === 0) return []
  const { rows } = await db.query<RowVersion & { columnHashes: string[] }>(
    renderSql('checks/rows-by-key', {
      ...pick(sql),
      ...byKeys(sql),
      columnHashes: withColumns ? sql.columnHashes : fragment(`'{}'::text[]`),
    }),
    keyParameters(sql, keys),
  )
  return rows
}

/** What a statement about rows by their keys is made of; {@link keyParameters} are its parameters. */
export function byKeys(
  sql: HashSql,
): Record<'condition' | 'keys' | 'wantedKeys' | 'arrays' | 'names', SqlFragment> {
  const names = sql.keyColumns.map((_, place) => `k${place}`)
  return {
    condition: sql.filter,
    keys: sql.keys,
    wantedKeys: joinSql(
      sql.keyColumns.map((column, place) => comparable(`w.k${place}::${column.type}`, column)),
    ),
    arrays: fragment(names.map((_, place) => `$${place + 1}::text[]`).join(', ')),
    names: fragment(names.join(', ')),
  }
}

/** An array a key column, with the values of all keys as text. */
export function keyParameters(sql: HashSql, keys: readonly Key[]): (string | undefined)[][] {
  return sql.keyColumns.map((_, place) => keys.map((key) => key[place]))
}

/** Keys that cut a range into pieces of about `step` rows. */
export async function readBoundaries(
  db: Queryable,
  sql: HashSql,
  range: KeyRange,
  step: number,
): Promise<Key[]> {
  const { rows } = await db.query<{ key: Key }>(
    renderSql('checks/range-boundaries', {
      ...pick(sql),
      keys: sql.keys,
      condition: rangeCondition(sql, range),
      step: fragment(String(step)),
    }),
  )
  return rows.map((row) => row.key)
}

function pick(sql: HashSql): Pick<HashSql, 'table' | 'values' | 'hash' | 'keyText'> {
  return { table: sql.table, values: sql.values, hash: sql.hash, keyText: sql.keyText }
}
