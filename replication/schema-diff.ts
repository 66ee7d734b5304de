import { listMigrations, migrationState, readMigration } from '../core/migrate.ts'
import type { Queryable } from '../core/db.ts'
import { publicationName, publishedTables, type PublishedTable } from '../core/published-tables.ts'
import type { Side } from './finding.ts'
import { readPublication, type PublicationState } from './publication.ts'
import { readSubscriptionWorkers } from './initial-copy.ts'
import { readRelayState, type RelayState } from './relay/relay-state.ts'
import { compareColumns } from './schema-columns.ts'
import { compareRules, fenceTrigger, type RulesContext } from './schema-constraints.ts'
import { command, plainName, type Effect, type Fix, type SchemaDifference } from './schema-difference.ts'
import { readSchemaFacts, type SchemaFacts } from './schema-facts.ts'
import { comparePublication } from './schema-publication.ts'
import { compareTables } from './schema-tables.ts'
import { refuseWrongServers } from './server-verdicts.ts'
import { withServers, type ServerUrls } from './servers.ts'
import type { ReplicationMode } from './settings-verdicts.ts'
import { readSubscription, type SubscriptionState } from './subscription.ts'

/** The migrations of one side. */
export interface MigrationFacts {
  missing: readonly string[]
  /** applied by a newer Homeport */
  unknown: readonly string[]
}

export interface SchemaDiffInput extends RulesContext {
  tables: readonly PublishedTable[]
  primary: SchemaFacts
  cloud: SchemaFacts
  migrations: Readonly<Record<Side, MigrationFacts>>
  publication: PublicationState | null
  subscription: Pick<SubscriptionState, 'tables'> | null
  /** replication stands still at the moment: what would stop it has */
  standsStill: boolean
}

export interface SchemaDiffReport {
  mode: ReplicationMode | null
  tables: number
  differences: readonly SchemaDifference[]
}

const order: readonly Effect[] = ['stopsNow', 'stopsLater', 'bends', 'harmless']

/**
 * Everything in which the two schemas differ, the worst first. What is meant to differ is left out: search indexes of
 * the cloud, foreign keys that the relay's setup took away, names.
 */
export function compareSchemas(input: SchemaDiffInput): SchemaDifference[] {
  const pending = {
    primary: input.migrations.primary.missing.length > 0,
    cloud: input.migrations.cloud.missing.length > 0,
  }
  const differences = [
    ...compareFence(input.primary),
    ...compareMigrations(input.migrations),
    ...input.tables.flatMap((table) => {
      const primary = input.primary.tables.get(table.name)
      const cloud = input.cloud.tables.get(table.name)
      const whole = compareTables(table, primary, cloud, pending)
      if (primary === undefined || cloud === undefined) return whole
      return [
        ...whole,
        ...compareColumns(table, primary, cloud, pending),
        ...compareRules(table.name, input.primary, input.cloud, input),
      ]
    }),
    ...comparePublication(input),
    ...compareOtherTables(input.primary.otherTables, input.cloud.otherTables, pending),
  ]
  const felt = differences.map((one) => {
    const effect = input.standsStill && one.effect === 'stopsLater' ? 'stopsNow' : one.effect
    // A relay applies nothing by another key, also where the cloud has it: it says that a new copy helps.
    const fix =
      input.mode === 'relay' && one.code === 'PRIMARY_KEY_DIFFERS' ? withoutDetour(one.fix) : one.fix
    return { ...one, effect, fix }
  })
  return order.flatMap((effect) => felt.filter((one) => one.effect === effect))
}

function withoutDetour(fix: Fix): Fix {
  return fix.on === null ? fix : { on: fix.on, command: fix.command }
}

function compareFence({ triggers }: SchemaFacts): SchemaDifference[] {
  if (!triggers.some(({ name }) => name === fenceTrigger)) return []
  return [
    {
      code: 'HOME_FENCED',
      side: 'primary',
      table: null,
      message: 'the primary takes no writes: a promotion has fenced it, and was not finished',
      effect: 'bends',
      fix: command('ops promote --apply goes on with it; ops promote --cancel takes it back'),
    },
  ]
}

function compareMigrations(migrations: SchemaDiffInput['migrations']): SchemaDifference[] {
  return (['cloud', 'primary'] as const).flatMap((side): SchemaDifference[] => {
    const { missing, unknown } = migrations[side]
    const base = { side, table: null } as const
    const lacks: SchemaDifference = {
      ...base,
      code: 'MIGRATION_MISSING',
      message: `the ${side} lacks the ${missing.length === 1 ? 'migration' : 'migrations'} ${missing.join(', ')}`,
      effect: 'bends',
      fix: command('ops migrate'),
    }
    const newer: SchemaDifference = {
      ...base,
      code: 'MIGRATION_UNKNOWN',
      message: `the ${side} has ${unknown.join(', ')} of a newer Homeport`,
      effect: 'harmless',
      fix: command('update Homeport on this machine'),
    }
    return [...(missing.length === 0 ? [] : [lacks]), ...(unknown.length === 0 ? [] : [newer])]
  })
}

function compareOtherTables(
  primary: readonly string[],
  cloud: readonly string[],
  pending: Readonly<Record<Side, boolean>>,
): SchemaDifference[] {
  const only = (side: Side, names: readonly string[], others: readonly string[]): SchemaDifference[] =>
    names
      .filter((name) => !others.includes(name))
      .map((name) => ({
        code: 'TABLE_UNPUBLISHED',
        side,
        table: name,
        message: `the table ${name} exists on the ${side} only; it does not travel`,
        effect: 'harmless',
        fix: pending[side === 'cloud' ? 'primary' : 'cloud']
          ? command('ops migrate')
          : { on: side, command: `drop table ${plainName(name)}` },
      }))
  return [...only('primary', primary, cloud), ...only('cloud', cloud, primary)]
}

/**
 * Asks both servers and compares. @throws HomeportError DATABASE_UNREACHABLE, exit 1; SAME_SERVER or SIDES_SWAPPED, exit 2.
 */
export async function diffSchemas(
  urls: ServerUrls,
  tables: readonly PublishedTable[] = publishedTables,
): Promise<SchemaDiffReport> {
  return withServers(urls, async ({ primary, cloud }) => {
    refuseWrongServers(primary.facts, cloud.facts)
    const subscription = await readSubscription(cloud.pool)
    const relay = await readRelayState(cloud.pool)
    const mode = relay === null ? (subscription === null ? null : 'native') : 'relay'
    const texts = listMigrations().map((name) => readMigration(name))
    const differences = compareSchemas({
      tables,
      mode,
      isOurs: (trigger) => texts.some((text) => text.includes(`create trigger ${trigger} `)),
      primary: await readSchemaFacts(primary.pool, tables),
      cloud: await readSchemaFacts(cloud.pool, tables),
      migrations: {
        primary: await migrationState(urls.primaryUrl),
        cloud: await migrationState(urls.cloudUrl),
      },
      publication: await readPublication(primary.pool, publicationName),
      subscription,
      standsStill: await standsStill(cloud.pool, relay, subscription),
    })
    return { mode, tables: tables.length, differences }
  })
}

/** A relay says that it has stopped; a subscription that met an error has no worker for most of the time. */
async function standsStill(
  cloud: Queryable,
  relay: RelayState | null,
  subscription: SubscriptionState | null,
): Promise<boolean> {
  if (relay !== null) return relay.state === 'stopped'
  if (subscription === null) return false
  const workers = await readSubscriptionWorkers(cloud)
  const isGone = (workers?.applyPid ?? null) === null
  return !subscription.enabled || (isGone && (workers?.applyErrors ?? 0) > 0)
}
