import type { PublishedTable } from '../../../core/published-tables.ts'
import { fragment, identifier, joinSql, renderSql, type SqlFragment } from '../../../core/sql.ts'
import { columnKind, type RelationMessage, type Tuple, type TypeMessage } from '../../pgoutput/messages.ts'
import { damagedBatch, keyHint, schemaMismatch } from './errors.ts'

/** Where a parameter of a statement comes from: a column of the row before or of the row after. */
export interface RowParameter {
  isOld: boolean
  column: number
}

/**
 * A statement that writes one row; its parameters are bytes of tuples, in whichever format they came. One that writes
 * several takes the parameters of each, one row after the other.
 */
export interface RowStatement {
  text: string
  parameters: readonly RowParameter[]
}

/**
 * A published table as one relation message describes it, and the statements that write to it: columns are always
 * named, and rows found by the primary key, which is part of every replica identity we publish.
 */
export class TableShape {
  readonly name: string
  readonly relation: RelationMessage
  /** names of the types that are not Postgres's own, by oid on the primary */
  readonly types: ReadonlyMap<number, TypeMessage>
  /** places of the primary key's columns */
  readonly key: readonly number[]
  /** names of the primary key's columns */
  readonly keyNames: readonly string[]
  /** whether updates and deletes carry the key */
  readonly identifiesRows: boolean
  readonly #table: SqlFragment
  readonly #names: readonly SqlFragment[]
  readonly #statements = new Map<string, RowStatement>()
  /** the last of each kind only: there is one for every number of rows */
  readonly #runStatements = new Map<string, { rows: number; statement: RowStatement }>()

  /** @throws HomeportError SCHEMA_MISMATCH for a table without its key; the rest is compared by schema.ts. */
  constructor(table: PublishedTable, relation: RelationMessage, types: ReadonlyMap<number, TypeMessage>) {
    this.name = table.name
    this.relation = relation
    this.types = types
    this.keyNames = table.key
    this.key = table.key.map((name) => relation.columns.findIndex((column) => column.name === name))
    if (this.key.includes(-1)) {
      throw schemaMismatch(
        [`${table.name} on the primary has no primary key of ${table.key.join(', ')}`],
        keyHint,
      )
    }
    this.identifiesRows = this.key.every((column) => relation.columns[column]?.isKey === true)
    this.#table = identifier(table.name)
    this.#names = relation.columns.map((column) => identifier(column.name))
  }

  /** The columns of a tuple that were sent. */
  insert(row: Tuple): RowStatement {
    return this.#statement('insert', row, () => this.#insertStatement(row, 'relay/insert-row'))
  }

  /** The same, but a row with this primary key stays as it is. */
  insertIfAbsent(row: Tuple): RowStatement {
    return this.#statement('insert if absent', row, () =>
      this.#insertStatement(row, 'relay/insert-row-if-absent'),
    )
  }

  /** Sets what was sent, in the row with the old key where one was sent, else with the new one. */
  update(old: Tuple | null, row: Tuple): RowStatement {
    const isOld = old !== null
    return this.#statement(isOld ? 'update old' : 'update', row, () => {
      const parameters: RowParameter[] = []
      const keyStays = (column: number): boolean => !isOld && this.key.includes(column)
      const columns = sentColumns(row)
      const assigned = columns.filter((column) => !keyStays(column))
      const assignments = joinSql(
        (assigned.length > 0 ? assigned : columns).map((column) =>
          fragment(`${this.#name(column).sql} = $${parameters.push({ isOld: false, column })}`),
        ),
      )
      const match = this.#match(isOld, parameters)
      const text = renderSql('relay/update-row', { table: this.#table, assignments, match })
      return { text, parameters }
    })
  }

  delete(old: Tuple): RowStatement {
    return this.#statement('delete', old, () => {
      const parameters: RowParameter[] = []
      const match = this.#match(true, parameters)
      return { text: renderSql('relay/delete-row', { table: this.#table, match }), parameters }
    })
  }

  /** Sets what was sent of so many different rows that keep their keys; its parameters are those of one row, in turn. */
  updateRun(row: Tuple, rows: number): RowStatement {
    return this.#runStatement('update', sentColumns(row), rows)
  }

  /** Deletes so many different rows; its parameters are those of one row, in turn. */
  deleteRun(rows: number): RowStatement {
    return this.#runStatement('delete', this.key, rows)
  }

  /** The row with the key of a tuple, as JSON. */
  image(isOld: boolean): RowStatement {
    const parameters: RowParameter[] = []
    const match = this.#match(isOld, parameters)
    return { text: renderSql('relay/row-image', { table: this.#table, match }), parameters }
  }

  /** Takes whole rows of {@link relation} in the binary format of COPY. */
  copy(): string {
    return renderSql('relay/copy-rows', { table: this.#table, columns: joinSql(this.#names) })
  }

  /** Whether a row can go through {@link copy}: every column was sent, none as text. */
  isBinary(row: Tuple): boolean {
    for (const kind of row.kinds) {
      if (kind === columnKind.text || kind === columnKind.unchanged) return false
    }
    return true
  }

  #insertStatement(row: Tuple, template: string): RowStatement {
    const columns = sentColumns(row)
    const text = renderSql(template, {
      table: this.#table,
      columns: joinSql(columns.map((column) => this.#name(column))),
      parameters: joinSql(columns.map((_, index) => fragment(`$${index + 1}`))),
      key: joinSql(this.key.map((column) => this.#name(column))),
    })
    return { text, parameters: columns.map((column) => ({ isOld: false, column })) }
  }

  #runStatement(kind: 'update' | 'delete', columns: readonly number[], rows: number): RowStatement {
    const name = `${kind} ${columns.join()}`
    const known = this.#runStatements.get(name)
    if (known?.rows === rows) return known.statement
    const others = columns.filter((column) => !this.key.includes(column))
    const parts = {
      table: this.#table,
      ...runValues(
        this.#table,
        columns.map((column) => this.#name(column)),
        rows,
      ),
      assignments: joinSql((others.length > 0 ? others : this.key).map((column) => this.#ofRun(column))),
      sameKey: joinSql(
        this.key.map((column) => fragment(`t.${this.#ofRun(column).sql}`)),
        ' and ',
      ),
    }
    const statement = {
      text: renderSql(`relay/${kind}-rows`, parts),
      parameters: columns.map((column) => ({ isOld: kind === 'delete', column })),
    }
    this.#runStatements.set(name, { rows, statement })
    return statement
  }

  #ofRun(column: number): SqlFragment {
    const { sql } = this.#name(column)
    return fragment(`${sql} = run.${sql}`)
  }

  #match(isOld: boolean, parameters: RowParameter[]): SqlFragment {
    const equal = (column: number): SqlFragment =>
      fragment(`${this.#name(column).sql} = $${parameters.push({ isOld, column })}`)
    return joinSql(this.key.map(equal), ' and ')
  }

  #name(column: number): SqlFragment {
    const name = this.#names[column]
    if (name === undefined) throw damagedBatch(`${this.name} has no column ${column + 1}`)
    return name
  }

  #statement(kind: string, row: Tuple, make: () => RowStatement): RowStatement {
    const shape = isComplete(row) ? kind : `${kind} ${sentColumns(row).join()}`
    let statement = this.#statements.get(shape)
    if (statement === undefined) {
      statement = make()
      this.#statements.set(shape, statement)
    }
    return statement
  }
}

/**
 * Rows of parameters as a table. Their types are told by a row of the table itself that is null: names of types would
 * need their schema, and arrays, which unnest takes apart, the cloud's number of the type, and no columns of arrays.
 */
function runValues(
  table: SqlFragment,
  names: readonly SqlFragment[],
  rows: number,
): Record<'columns' | 'typesRow' | 'rowsOfParameters', SqlFragment> {
  const width = names.length
  const tuple = (row: number): SqlFragment =>
    fragment(`(${names.map((_, place) => `$${row * width + place + 1}`).join()})`)
  return {
    columns: joinSql(names),
    typesRow: fragment(`(${names.map(({ sql }) => `(null::public.${table.sql}).${sql}`).join()})`),
    rowsOfParameters: joinSql(
      Array.from({ length: rows }, (_, row) => tuple(row)),
      ',',
    ),
  }
}

/** Whether every column was sent. */
export function isComplete(row: Tuple): boolean {
  return !row.kinds.includes(columnKind.unchanged)
}

/** Places of the columns that were sent. */
export function sentColumns(row: Tuple): number[] {
  const columns: number[] = []
  for (let column = 0; column < row.kinds.length; column++) {
    if (row.kinds[column] !== columnKind.unchanged) columns.push(column)
  }
  return columns
}

/** One statement over all tables, as the primary sent it; Postgres lists what a cascade reached by itself. */
export function truncateStatement(tables: readonly TableShape[], restartIdentity: boolean): string {
  return renderSql('relay/truncate-tables', {
    tables: joinSql(tables.map(({ name }) => fragment(`public.${identifier(name).sql}`))),
    identity: fragment(restartIdentity ? 'restart identity' : 'continue identity'),
  })
}
