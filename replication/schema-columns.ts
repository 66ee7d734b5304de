import type { PublishedTable } from '../core/published-tables.ts'
import type { Side } from './finding.ts'
import {
  addColumn,
  changeType,
  command,
  plainName,
  type Fix,
  type SchemaDifference,
} from './schema-difference.ts'
import type { ColumnFacts, TableFacts } from './table-facts.ts'

/** Which sides lack migrations; null where nobody asked. */
export type PendingMigrations = Readonly<Record<Side, boolean>> | null

/** The columns of one published table, on both sides and on the list of what Homeport replicates. */
export function compareColumns(
  table: PublishedTable,
  primary: TableFacts,
  cloud: TableFacts,
  pending: PendingMigrations = null,
): SchemaDifference[] {
  const ours = new Map(primary.columns.map((column) => [column.column, column]))
  const theirs = new Map(cloud.columns.map((column) => [column.column, column]))
  const atHomeOnly = primary.columns.filter(({ column }) => !theirs.has(column))
  const inCloudOnly = cloud.columns.filter(({ column }) => !ours.has(column))
  const [renamed, ...others] = atHomeOnly
  const [other] = inCloudOnly
  if (renamed !== undefined && other !== undefined && others.length === 0 && inCloudOnly.length === 1) {
    if (isSameType(renamed, other)) {
      return [describeRename(table, renamed, other), ...compareShared(table, ours, theirs)]
    }
  }
  return [
    ...table.columns.filter((name) => !ours.has(name) && !theirs.has(name)).flatMap(missingOnBoth(table)),
    ...atHomeOnly.map((column) => describeAtHomeOnly(table, column, pending)),
    ...inCloudOnly.map((column) => describeInCloudOnly(table, column, pending)),
    ...compareShared(table, ours, theirs),
  ]
}

function missingOnBoth(table: PublishedTable): (name: string) => SchemaDifference[] {
  return (name) =>
    (['primary', 'cloud'] as const).map((side) => ({
      code: 'COLUMN_MISSING',
      side,
      table: table.name,
      message: `${table.name} lacks ${name}`,
      effect: 'bends',
      fix: command('ops migrate'),
    }))
}

/** The name on the list is right; where both are unknown, the primary's. */
function describeRename(table: PublishedTable, ours: ColumnFacts, theirs: ColumnFacts): SchemaDifference {
  const isOurs = !table.columns.includes(theirs.column)
  const side = isOurs ? 'cloud' : 'primary'
  const [from, to] = isOurs ? [theirs.column, ours.column] : [ours.column, theirs.column]
  return {
    code: 'COLUMN_RENAMED',
    side,
    table: table.name,
    message: `${table.name}.${to} is called ${from} on the ${side}`,
    effect: 'stopsLater',
    fix: {
      ...on(side, renameColumn(table.name, from, to)),
      ...(side === 'primary' ? { ifStuck: renameColumn(table.name, to, from) } : {}),
    },
  }
}

function describeAtHomeOnly(
  table: PublishedTable,
  column: ColumnFacts,
  pending: PendingMigrations,
): SchemaDifference {
  const name = `${table.name}.${column.column}`
  const add = on('cloud', addColumn(table.name, column))
  if (table.columns.includes(column.column)) {
    const message = `${table.name} lacks ${column.column} (${column.type} on the primary)`
    const fix = migrateOr(add, pending?.cloud)
    return { code: 'COLUMN_MISSING', side: 'cloud', table: table.name, message, effect: 'stopsLater', fix }
  }
  return {
    code: 'COLUMN_UNKNOWN',
    side: 'primary',
    table: table.name,
    message: `${name} (${column.type}) exists on the primary only; Homeport does not know it`,
    // Not published, whatever the list of the publication says.
    effect: column.generated ? 'harmless' : 'stopsLater',
    fix: add,
  }
}

function describeInCloudOnly(
  table: PublishedTable,
  column: ColumnFacts,
  pending: PendingMigrations,
): SchemaDifference {
  const effect = column.required ? 'stopsLater' : 'harmless'
  if (table.columns.includes(column.column)) {
    return {
      code: 'COLUMN_MISSING',
      side: 'primary',
      table: table.name,
      message: `${table.name} lacks ${column.column} (${column.type} in the cloud)`,
      effect: column.required ? 'stopsLater' : 'bends',
      fix: migrateOr(on('primary', addColumn(table.name, column)), pending?.primary),
    }
  }
  const what = column.required ? 'needs a value, which the primary does not send' : 'stays empty'
  return {
    code: 'COLUMN_UNKNOWN',
    side: 'cloud',
    table: table.name,
    message: `${table.name}.${column.column} (${column.type}) exists in the cloud only, and ${what}`,
    effect,
    fix: on('cloud', `alter table ${table.name} drop column ${plainName(column.column)}`),
  }
}

function compareShared(
  table: PublishedTable,
  ours: ReadonlyMap<string, ColumnFacts>,
  theirs: ReadonlyMap<string, ColumnFacts>,
): SchemaDifference[] {
  return [...ours.values()].flatMap((column) => {
    const cloud = theirs.get(column.column)
    return cloud === undefined ? [] : compareColumn(table, column, cloud)
  })
}

function compareColumn(table: PublishedTable, primary: ColumnFacts, cloud: ColumnFacts): SchemaDifference[] {
  const name = `${table.name}.${primary.column}`
  const altered = plainName(primary.column)
  const difference = (
    code: string,
    side: Side,
    message: string,
    effect: SchemaDifference['effect'],
    change: string,
  ): SchemaDifference => ({
    code,
    side,
    table: table.name,
    message,
    effect,
    fix: on(side, `alter table ${table.name} alter column ${altered} ${change}`),
  })
  if (!isSameType(primary, cloud)) {
    const message = `${name} is ${cloud.type} in the cloud and ${primary.type} on the primary`
    const fix = on('cloud', changeType(table.name, primary.column, primary.type))
    return [{ code: 'TYPE_DIFFERS', side: 'cloud', table: table.name, message, effect: 'stopsLater', fix }]
  }
  if (cloud.generated !== primary.generated) {
    const side = cloud.generated ? 'cloud' : 'primary'
    const effect = cloud.generated ? 'stopsLater' : 'bends'
    const message = `${name} is made by the server on the ${side} only`
    return [difference('COLUMN_GENERATED', side, message, effect, 'drop expression')]
  }
  const found: SchemaDifference[] = []
  if (cloud.notNull && !primary.notNull) {
    const message = `${name} may not be null in the cloud, and may on the primary`
    found.push(difference('NOT_NULL_DIFFERS', 'cloud', message, 'stopsLater', 'drop not null'))
  } else if (primary.notNull && !cloud.notNull) {
    const message = `${name} may be null in the cloud, and may not on the primary`
    found.push(difference('NOT_NULL_DIFFERS', 'cloud', message, 'harmless', 'set not null'))
  }
  if (plainDefault(primary.default) !== plainDefault(cloud.default)) {
    const message = `the default of ${name} is ${primary.default ?? 'none'} on the primary and ${cloud.default ?? 'none'} in the cloud`
    // What the migrations gave it and somebody took away at home is in the way of every row that is written there.
    const side = primary.default === null ? 'primary' : 'cloud'
    const wanted = primary.default ?? cloud.default ?? 'null'
    found.push(difference('DEFAULT_DIFFERS', side, message, 'harmless', `set default ${wanted}`))
  }
  return found
}

function renameColumn(table: string, from: string, to: string): string {
  return `alter table ${table} rename column ${plainName(from)} to ${plainName(to)}`
}

function on(side: Side, text: string): { on: Side; command: string } {
  return { on: side, command: text }
}

/** A migration brings it, unless all of them are there. */
function migrateOr(fix: Fix, pending: boolean | undefined): Fix {
  if (pending === true) return command('ops migrate')
  if (pending === false) return fix
  return command(`ops migrate; where that has nothing to do, on the ${fix.on ?? 'cloud'}: ${fix.command}`)
}

/** pgvector may live in another schema on each side. */
export function isSameType(a: Pick<ColumnFacts, 'type'>, b: Pick<ColumnFacts, 'type'>): boolean {
  return unqualified(a.type) === unqualified(b.type)
}

function unqualified(type: string): string {
  return type.replace(/^.*\./, '')
}

function plainDefault(expression: string | null): string {
  return (expression ?? '').replace(/\bpublic\./g, '').replace(/\s+/g, '')
}
