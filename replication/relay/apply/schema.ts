import { addColumn, changeType, plainName } from '../../schema-difference.ts'
import type { CloudTable } from '../cloud-link.ts'
import type { RelationColumn } from '../../pgoutput/messages.ts'
import type { TableShape } from './table-shape.ts'

/** A table of the cloud in as much detail as the comparison needs; an answer of cloud-tables.sql. */
export interface CloudTableFacts extends CloudTable {
  columns: readonly (CloudTable['columns'][number] & {
    /** without a modifier */
    bareType: string
    /** of a domain: of what it is made of, and so the modifier */
    typeOid: number
    typeModifier: number
    /** its own name, and of a domain the name of what it is made of */
    typeNames: readonly (string | null)[]
  })[]
  /** columns of unique indexes without a condition, sorted by name */
  uniqueKeys: readonly (readonly string[])[]
}

export type CloudColumnFacts = CloudTableFacts['columns'][number]

/** Oids below are assigned by hand in Postgres's sources and the same everywhere; pgoutput names the others. */
const firstAssignedOid = 10_000

/** Why what the slot sends cannot be written to the cloud's table. */
export type SchemaDifference =
  | { kind: 'table missing'; table: string }
  | { kind: 'key missing'; table: string; key: readonly string[] }
  | { kind: 'column missing'; table: string; column: RelationColumn; typeName: string | null }
  | {
      kind: 'other type'
      table: string
      column: RelationColumn
      typeName: string | null
      cloud: CloudColumnFacts
    }
  | { kind: 'generated'; table: string; column: RelationColumn }
  | { kind: 'needs a value'; table: string; cloud: CloudColumnFacts }

/**
 * Every difference that would fail or, worse, write something else: types are compared with their modifiers, as
 * the bytes of a bigint are a fine double precision, and numeric(9, 1) rounds what it is given.
 */
export function compareSchema(
  shapes: Iterable<TableShape>,
  cloudTables: readonly CloudTableFacts[],
): SchemaDifference[] {
  const byName = new Map(cloudTables.map((table) => [table.name, table]))
  const differences: SchemaDifference[] = []
  for (const shape of shapes) {
    const cloud = byName.get(shape.name)
    if (cloud === undefined) differences.push({ kind: 'table missing', table: shape.name })
    else differences.push(...compareTable(shape, cloud))
  }
  return differences
}

function compareTable(shape: TableShape, cloudTable: CloudTableFacts): SchemaDifference[] {
  const table = shape.name
  const differences: SchemaDifference[] = []
  const columns = new Map(cloudTable.columns.map((column) => [column.name, column]))
  for (const column of shape.relation.columns) {
    const cloud = columns.get(column.name)
    const typeName = shape.types.get(column.typeOid)?.name ?? null
    if (cloud === undefined) differences.push({ kind: 'column missing', table, column, typeName })
    else if (!isSameType(column, typeName, cloud)) {
      differences.push({ kind: 'other type', table, column, typeName, cloud })
    } else if (cloud.generated) differences.push({ kind: 'generated', table, column })
  }
  const sent = new Set(shape.relation.columns.map((column) => column.name))
  for (const cloud of cloudTable.columns) {
    if (!sent.has(cloud.name) && cloud.notNull && !cloud.hasDefault) {
      differences.push({ kind: 'needs a value', table, cloud })
    }
  }
  const key = shape.keyNames.toSorted().join()
  if (!cloudTable.uniqueKeys.some((names) => names.join() === key)) {
    differences.push({ kind: 'key missing', table, key: shape.keyNames })
  }
  return differences
}

function isSameType(column: RelationColumn, typeName: string | null, cloud: CloudColumnFacts): boolean {
  const isSame =
    column.typeOid < firstAssignedOid && typeName === null
      ? column.typeOid === cloud.typeOid
      : typeName !== null && cloud.typeNames.includes(typeName)
  // A column without a modifier takes every value of the type as it is.
  return isSame && (cloud.typeModifier === -1 || cloud.typeModifier === column.typeModifier)
}

/** The types whose names only a server can tell: those of Postgres itself. */
export function unnamedTypes(differences: readonly SchemaDifference[]): RelationColumn[] {
  return differences.flatMap((difference) =>
    'typeName' in difference && difference.typeName === null ? [difference.column] : [],
  )
}

/** One sentence for a person, with the statement that ends it in the cloud; `nameOf` names a type of Postgres itself. */
export function describeDifference(
  difference: SchemaDifference,
  nameOf: (column: RelationColumn) => string,
): string {
  const { table } = difference
  switch (difference.kind) {
    case 'table missing':
      return `the cloud has no table ${table}: ops schema diff says how it gets it`
    case 'key missing':
      return `the cloud's ${table} has no unique key of ${difference.key.join(', ')}: create unique index on ${table} (${difference.key.map(plainName).join(', ')})`
    case 'column missing': {
      const type = difference.typeName ?? nameOf(difference.column)
      const column = { column: difference.column.name, type, notNull: false, default: null }
      return `the cloud's ${table} has no column ${column.column} (${type} on the primary): ${addColumn(table, column)}`
    }
    case 'other type': {
      const type = difference.typeName ?? nameOf(difference.column)
      const { name } = difference.column
      return `${table}.${name} is ${type} on the primary and ${difference.cloud.type} in the cloud: ${changeType(table, name, type)}`
    }
    case 'generated': {
      const { name } = difference.column
      return `${table}.${name} is sent by the primary, and generated in the cloud: alter table ${table} alter column ${plainName(name)} drop expression`
    }
    case 'needs a value': {
      const { name, type } = difference.cloud
      return `${table}.${name} (${type}) exists in the cloud only, and needs a value: alter table ${table} alter column ${plainName(name)} drop not null`
    }
  }
}
