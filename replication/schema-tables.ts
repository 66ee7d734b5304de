import type { PublishedTable } from '../core/published-tables.ts'
import type { Side } from './finding.ts'
import type { PendingMigrations } from './schema-columns.ts'
import { command, nameList, plainName, type SchemaDifference } from './schema-difference.ts'
import type { TableFacts } from './table-facts.ts'

/** One published table as a whole: that it is there, its replica identity, and that no rows are hidden. */
export function compareTables(
  table: PublishedTable,
  primary: TableFacts | undefined,
  cloud: TableFacts | undefined,
  pending: PendingMigrations = null,
): SchemaDifference[] {
  const sides = [
    ['primary', primary, cloud],
    ['cloud', cloud, primary],
  ] as const
  return sides.flatMap(([side, facts, other]) =>
    facts === undefined
      ? [describeMissing(side, table, other !== undefined, pending?.[side])]
      : [
          ...compareKey(side, table, facts, other),
          ...compareIdentity(side, table, facts),
          ...compareRowSecurity(side, table, facts),
        ],
  )
}

function describeMissing(
  side: Side,
  { name }: PublishedTable,
  elsewhere: boolean,
  pending: boolean | undefined,
): SchemaDifference {
  // A migration that is written down as applied does not come again.
  const copied = elsewhere && pending !== true
  const [from, to] = urls(side)
  const again = `pg_dump --schema-only --no-owner --table public.${name} "$${from}" | psql "$${to}"; then ops setup-replication`
  return {
    code: 'TABLE_MISSING',
    side,
    table: name,
    message: `there is no table ${name}`,
    effect: side === 'cloud' ? 'stopsLater' : 'bends',
    fix: command(
      copied
        ? pending === false
          ? again
          : `ops migrate; where that has nothing to do: ${again}`
        : 'ops migrate',
    ),
  }
}

function urls(missing: Side): readonly [from: string, to: string] {
  const [primary, cloud] = ['LOCAL_DATABASE_URL', 'PRODUCTION_DATABASE_URL'] as const
  return missing === 'cloud' ? [primary, cloud] : [cloud, primary]
}

function compareKey(
  side: Side,
  { name, key }: PublishedTable,
  facts: TableFacts,
  other: TableFacts | undefined,
): SchemaDifference[] {
  if (facts.primaryKey?.join() === key.join()) return []
  const found = facts.primaryKey === null ? 'missing' : nameList(facts.primaryKey)
  const drop = facts.primaryKeyName === null ? '' : `drop constraint ${plainName(facts.primaryKeyName)}, `
  return [
    {
      code: 'PRIMARY_KEY_DIFFERS',
      side,
      table: name,
      message: `the primary key of ${name} is ${found} on the ${side}, and should be ${nameList(key)}`,
      effect: 'stopsLater',
      fix: {
        on: side,
        command: `alter table ${name} ${drop}add primary key (${nameList(key)})`,
        ...(side === 'primary' && facts.primaryKey !== null && typeof other?.primaryKeyName === 'string'
          ? {
              ifStuck: `alter table ${name} drop constraint ${plainName(other.primaryKeyName)}, add primary key (${found})`,
            }
          : {}),
      },
    },
  ]
}

function compareIdentity(side: Side, table: PublishedTable, facts: TableFacts): SchemaDifference[] {
  const filter = filterColumns(table)
  const lacking = [...table.key, ...filter].filter((column) => facts.identity?.includes(column) !== true)
  // By default it is the primary key, and right with that.
  const followsKey = facts.identity?.join() === facts.primaryKey?.join() && filter.length === 0
  const isKeyWrong = facts.primaryKey?.join() !== table.key.join()
  if (lacking.length === 0 || (followsKey && isKeyWrong)) return []
  const { name } = table
  const wanted =
    filter.length === 0
      ? `alter table ${name} replica identity default`
      : `alter table ${name} replica identity using index ${name}_identity`
  return [
    {
      code: 'REPLICA_IDENTITY',
      side,
      table: name,
      message: `the replica identity of ${name} lacks ${nameList(lacking)}`,
      effect: 'stopsLater',
      fix: { on: side, command: wanted },
    },
  ]
}

function compareRowSecurity(side: Side, { name }: PublishedTable, facts: TableFacts): SchemaDifference[] {
  if (!facts.rowSecurity) return []
  return [
    {
      code: 'ROW_SECURITY',
      side,
      table: name,
      message: `row level security is on for ${name}; replication and the reader would miss rows`,
      effect: side === 'cloud' ? 'stopsLater' : 'bends',
      fix: { on: side, command: `alter table ${name} disable row level security` },
    },
  ]
}

/** The columns a row filter looks at. */
export function filterColumns(table: PublishedTable): string[] {
  const words = new Set((table.filter ?? '').replace(/'[^']*'/g, '').match(/\w+/g))
  return table.columns.filter((column) => words.has(column))
}
