import type { ReplicationMode } from './settings-verdicts.ts'
import { plainName, type SchemaDifference } from './schema-difference.ts'
import type { ConstraintFacts, IndexFacts, SchemaFacts, TriggerFacts } from './schema-facts.ts'

/** What a promotion puts on every table at home, and never belongs into the cloud. */
export const fenceTrigger = 'homeport_fence'

export interface RulesContext {
  /** how the cloud follows; null when it does not */
  mode: ReplicationMode | null
  /** whether a migration made the trigger of this name */
  isOurs: (trigger: string) => boolean
}

/** What the cloud refuses or adds that the primary does not, and the other way round, for one table that both have. */
export function compareRules(
  table: string,
  primary: SchemaFacts,
  cloud: SchemaFacts,
  { mode, isOurs }: RulesContext,
): SchemaDifference[] {
  const of = <T extends { table: string }>(list: readonly T[]): T[] =>
    list.filter((one) => one.table === table)
  return [
    ...compareUniques(table, of(primary.indexes), of(cloud.indexes)),
    ...comparePlainIndexes(table, of(primary.indexes), of(cloud.indexes)),
    ...compareConstraints(table, of(primary.constraints), of(cloud.constraints), mode),
    ...compareTriggersInCloud(table, of(primary.triggers), of(cloud.triggers), { mode, isOurs }),
    ...compareTriggersAtHome(table, of(primary.triggers), of(cloud.triggers)),
  ]
}

function compareUniques(
  table: string,
  primary: readonly IndexFacts[],
  cloud: readonly IndexFacts[],
): SchemaDifference[] {
  const unique = (index: IndexFacts): boolean => index.unique && !index.primary
  const { left, right } = unmatched(primary.filter(unique), cloud.filter(unique), ({ over }) => over)
  return [
    ...left.map((index): SchemaDifference => ({
      code: 'UNIQUE_DIFFERS',
      side: 'cloud',
      table,
      message: `${table} has no unique index ${index.name} in the cloud, ${index.over}`,
      effect: 'harmless',
      fix: { on: 'cloud', command: index.definition },
    })),
    ...right.map((index): SchemaDifference => ({
      code: 'UNIQUE_DIFFERS',
      side: 'cloud',
      table,
      message: `the unique index ${index.name} of ${table} exists in the cloud only, ${index.over}: it refuses rows that the primary takes`,
      effect: 'stopsLater',
      fix: {
        on: 'cloud',
        command: index.isConstraint
          ? `alter table ${table} drop constraint ${plainName(index.name)}`
          : `drop index ${plainName(index.name)}`,
      },
    })),
  ]
}

/** What only the cloud has is there to search with. */
function comparePlainIndexes(
  table: string,
  primary: readonly IndexFacts[],
  cloud: readonly IndexFacts[],
): SchemaDifference[] {
  const plain = (index: IndexFacts): boolean => !index.unique
  return unmatched(primary.filter(plain), cloud.filter(plain), ({ over }) => over).left.map((index) => ({
    code: 'INDEX_DIFFERS',
    side: 'cloud',
    table,
    message: `${table} has no index ${index.name} in the cloud, ${index.over}`,
    effect: 'harmless',
    fix: { on: 'cloud', command: index.definition },
  }))
}

const kindNames = { c: 'check', f: 'foreign key', x: 'exclusion' } as const

function compareConstraints(
  table: string,
  primary: readonly ConstraintFacts[],
  cloud: readonly ConstraintFacts[],
  mode: ReplicationMode | null,
): SchemaDifference[] {
  const { left, right } = unmatched(primary, cloud, ({ definition }) => definition.replace(/\bpublic\./g, ''))
  return [
    // The relay's cloud goes without foreign keys where its role may not switch them off.
    ...left
      .filter(({ kind }) => kind !== 'f' || mode === 'native')
      .map((one): SchemaDifference => ({
        code: 'CONSTRAINT_DIFFERS',
        side: 'cloud',
        table,
        message: `${table} has no ${kindNames[one.kind]} constraint ${one.name} in the cloud`,
        effect: 'harmless',
        fix: {
          on: 'cloud',
          command: `alter table ${table} add constraint ${plainName(one.name)} ${one.definition}`,
        },
      })),
    ...right.map((one): SchemaDifference => ({
      code: 'CONSTRAINT_DIFFERS',
      side: 'cloud',
      table,
      message: `the ${kindNames[one.kind]} constraint ${one.name} of ${table} exists in the cloud only: ${one.definition}`,
      // A subscription applies with foreign keys switched off.
      effect: one.kind === 'f' && mode === 'native' ? 'harmless' : 'stopsLater',
      fix: { on: 'cloud', command: `alter table ${table} drop constraint ${plainName(one.name)}` },
    })),
  ]
}

function compareTriggersInCloud(
  table: string,
  primary: readonly TriggerFacts[],
  cloud: readonly TriggerFacts[],
  { mode, isOurs }: RulesContext,
): SchemaDifference[] {
  const ours = new Set(primary.map((trigger) => trigger.name))
  return cloud.flatMap((trigger): SchemaDifference[] => {
    const name = plainName(trigger.name)
    const drop = `drop trigger ${name} on ${table}`
    if (trigger.enabled === 'A' || trigger.enabled === 'R') {
      const message = `the trigger ${trigger.name} of ${table} fires in the cloud at every row that arrives`
      const text = ours.has(trigger.name) ? `alter table ${table} enable trigger ${name}` : drop
      return [{ code: 'TRIGGER_FIRES', side: 'cloud', table, message, effect: 'bends', fix: inCloud(text) }]
    }
    if (ours.has(trigger.name) || trigger.enabled === 'D') return []
    if (isOurs(trigger.name)) {
      const message = `the trigger ${trigger.name} of ${table} is missing on the primary`
      const fix = { on: 'primary', command: trigger.definition } as const
      return [{ code: 'TRIGGER_MISSING', side: 'primary', table, message, effect: 'bends', fix }]
    }
    const message = `the trigger ${trigger.name} of ${table} exists in the cloud only`
    // The relay may not always switch them off.
    const effect = mode === 'relay' ? 'bends' : 'harmless'
    return [{ code: 'TRIGGER_DIFFERS', side: 'cloud', table, message, effect, fix: inCloud(drop) }]
  })
}

function compareTriggersAtHome(
  table: string,
  primary: readonly TriggerFacts[],
  cloud: readonly TriggerFacts[],
): SchemaDifference[] {
  const theirs = new Map(cloud.map((trigger) => [trigger.name, trigger]))
  return primary.flatMap((trigger): SchemaDifference[] => {
    if (trigger.name === fenceTrigger) return []
    const other = theirs.get(trigger.name)
    if (other === undefined) {
      const message = `the trigger ${trigger.name} of ${table} exists on the primary only`
      const fix = inCloud(trigger.definition)
      return [{ code: 'TRIGGER_DIFFERS', side: 'cloud', table, message, effect: 'harmless', fix }]
    }
    if (trigger.enabled !== 'D' || other.enabled === 'D') return []
    const message = `the trigger ${trigger.name} of ${table} is switched off on the primary`
    const text = `alter table ${table} enable trigger ${plainName(trigger.name)}`
    const fix = { on: 'primary', command: text } as const
    return [{ code: 'TRIGGER_OFF', side: 'primary', table, message, effect: 'bends', fix }]
  })
}

function inCloud(text: string): { on: 'cloud'; command: string } {
  return { on: 'cloud', command: text }
}

/** Those of each list that have no equal in the other. */
function unmatched<T>(
  left: readonly T[],
  right: readonly T[],
  meaning: (one: T) => string,
): { left: T[]; right: T[] } {
  const ours = new Set(left.map(meaning))
  const theirs = new Set(right.map(meaning))
  return {
    left: left.filter((one) => !theirs.has(meaning(one))),
    right: right.filter((one) => !ours.has(meaning(one))),
  }
}
