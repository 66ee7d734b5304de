import { columnKind, type PgoutputMessage, type RelationMessage, type Tuple } from '../pgoutput/messages.ts'
import type { PublishedTable } from '../../core/published-tables.ts'
import type { Key } from './row-hash.ts'

/** The first change of a row. */
interface Touch {
  /** begin of its commit */
  at: bigint
  /** whether it found the row there, as a published one */
  existed: boolean
}

export interface TouchedKey {
  key: Key
  /** whether the row was there, as a published one, before it was touched */
  existed: boolean
}

interface Touched {
  /** by key */
  keys: Map<string, Touch>
  /** the first commit after which any key of the table counts as touched; null while none does */
  wholeFrom: bigint | null
}

interface Described {
  table: string
  /** where the key columns are in its tuples; null when one of them is not sent */
  keyPlaces: readonly number[] | null
}

/** Beyond so many keys in all, a table counts as touched as a whole, and memory stays bounded. */
const defaultMaxKeys = 200_000

/**
 * Which rows of the published tables were written, as a slot tells it (pgoutput, protocol 1, values as
 * text). What it cannot tell apart counts as touched: too much costs a second look, too little would call
 * a row wrong that was only on its way.
 */
export class TouchedKeys {
  readonly #tables: ReadonlyMap<string, PublishedTable>
  readonly #touched = new Map<string, Touched>()
  readonly #relations = new Map<number, Described | null>()
  readonly #maxKeys: number
  #commitLsn: bigint | null = null
  #position = 0n
  #keys = 0

  constructor(tables: readonly PublishedTable[], maxKeys = defaultMaxKeys) {
    this.#tables = new Map(tables.map((table) => [table.name, table]))
    this.#maxKeys = maxKeys
  }

  /** Everything that was committed before it has been taken in, unless a transaction is open. */
  get position(): bigint {
    return this.#position
  }

  /** Whether a transaction has been taken in by half. */
  get isInTransaction(): boolean {
    return this.#commitLsn !== null
  }

  /** Whether everything that was committed before `lsn` has been taken in, to the end. */
  hasPassed(lsn: bigint): boolean {
    return !this.isInTransaction && this.#position >= lsn
  }

  /** The server says that it has sent everything up to here. */
  advance(lsn: bigint): void {
    if (lsn > this.#position) this.#position = lsn
  }

  take(message: PgoutputMessage): void {
    switch (message.type) {
      case 'begin':
        this.#commitLsn = message.commitLsn
        return
      case 'commit':
        this.#commitLsn = null
        this.advance(message.endLsn)
        return
      case 'relation':
        this.#relations.set(message.oid, this.#describe(message))
        return
      case 'insert':
        this.#touch(message.relationOid, message.new, false)
        return
      case 'update':
        // First the old key: where it is the same one, the row was there.
        if (message.old !== null) this.#touch(message.relationOid, message.old, true)
        this.#touch(message.relationOid, message.new, message.old === null)
        return
      case 'delete':
        this.#touch(message.relationOid, message.old, true)
        return
      case 'truncate':
        for (const oid of message.relationOids) this.#touchWhole(oid)
        return
      case 'type':
      case 'origin':
      case 'message':
        return
      case 'streamStart':
      case 'streamStop':
      case 'streamCommit':
      case 'streamAbort':
      case 'twoPhase':
        // Protocol 1 has none of them; the decoder refuses them there.
        return
    }
  }

  /** Whether a commit that begins before `until` wrote this row, or may have. */
  isTouched(table: string, key: Key, until: bigint): boolean {
    if (this.isWholeTouched(table, until)) return true
    const first = this.#touched.get(table)?.keys.get(JSON.stringify(key))
    return first !== undefined && first.at < until
  }

  /** The rows that commits which begin before `until` wrote; nothing is known of them where {@link isWholeTouched}. */
  keysBefore(table: string, until: bigint): TouchedKey[] {
    const found: TouchedKey[] = []
    for (const [name, { at, existed }] of this.#touched.get(table)?.keys ?? []) {
      if (at < until) found.push({ key: JSON.parse(name) as Key, existed })
    }
    return found
  }

  /** Whether any row of the table may have been written before `until`: a TRUNCATE, or too many to remember. */
  isWholeTouched(table: string, until: bigint): boolean {
    const from = this.#touched.get(table)?.wholeFrom ?? null
    return from !== null && from < until
  }

  #describe(message: RelationMessage): Described | null {
    const table = message.schema === 'public' ? this.#tables.get(message.name) : undefined
    if (table === undefined) return null
    const places = table.key.map((name) => message.columns.findIndex((column) => column.name === name))
    return { table: table.name, keyPlaces: places.includes(-1) ? null : places }
  }

  #touch(oid: number, tuple: Tuple, existed: boolean): void {
    const relation = this.#relations.get(oid)
    if (relation === undefined || relation === null) return
    const key = relation.keyPlaces === null ? null : readKey(tuple, relation.keyPlaces)
    const { keys } = this.#of(relation.table)
    const name = JSON.stringify(key)
    if (key !== null && keys.has(name)) return
    if (key === null || this.#keys >= this.#maxKeys) {
      this.#touchWhole(oid)
      return
    }
    keys.set(name, { at: this.#commitLsn ?? 0n, existed })
    this.#keys += 1
  }

  #touchWhole(oid: number): void {
    const relation = this.#relations.get(oid)
    if (relation === undefined || relation === null) return
    const touched = this.#of(relation.table)
    touched.wholeFrom ??= this.#commitLsn ?? 0n
  }

  #of(table: string): Touched {
    let touched = this.#touched.get(table)
    if (touched === undefined) {
      touched = { keys: new Map(), wholeFrom: null }
      this.#touched.set(table, touched)
    }
    return touched
  }
}

/** The key as its columns print; null when one of them was not sent as text. */
function readKey(tuple: Tuple, places: readonly number[]): Key | null {
  const key: string[] = []
  for (const place of places) {
    const value = tuple.kinds[place] === columnKind.text ? tuple.values[place] : null
    if (value === undefined || value === null) return null
    key.push(value.toString('utf8'))
  }
  return key
}
