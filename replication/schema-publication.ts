import { publicationName, type PublishedTable } from '../core/published-tables.ts'
import { plainFilter, type PublicationState } from './publication.ts'
import { command, type Effect, type Fix, type SchemaDifference } from './schema-difference.ts'
import type { ReplicationMode } from './settings-verdicts.ts'
import type { SubscriptionState } from './subscription.ts'

export interface PublicationInput {
  tables: readonly PublishedTable[]
  /** how the cloud follows; null when it does not, and then nothing is expected */
  mode: ReplicationMode | null
  publication: PublicationState | null
  subscription: Pick<SubscriptionState, 'tables'> | null
}

/** What the primary publishes and the cloud subscribes to, held against the list of what Homeport replicates. */
export function comparePublication(input: PublicationInput): SchemaDifference[] {
  const { mode, publication } = input
  if (mode === null) return []
  const setUp = command(`ops setup-replication${mode === 'relay' ? ' --mode relay' : ''}`)
  if (publication === null) {
    const message = `the publication ${publicationName} is gone: nothing new is sent`
    return [published('PUBLICATION_MISSING', null, message, 'stopsLater', setUp)]
  }
  if (publication.allTables) {
    const fix = command(`on the primary: drop publication ${publicationName}; then ${setUp.command}`)
    const message = `the publication ${publicationName} publishes all tables, private rows included`
    return [published('PUBLICATION_OF_ALL_TABLES', null, message, 'bends', fix)]
  }
  const operations = published(
    'PUBLICATION_OPERATIONS',
    null,
    `the publication ${publicationName} leaves out some of insert, update, delete and truncate`,
    'bends',
    setUp,
  )
  return [
    ...(publication.allOperations ? [] : [operations]),
    ...input.tables.flatMap((table) => compareTable(table, publication, setUp)),
    ...compareOthers(input.tables, publication),
    ...(mode === 'native' ? compareSubscription(input, publication, setUp) : []),
  ]
}

function compareTable(
  { name, filter }: PublishedTable,
  publication: PublicationState,
  setUp: Fix,
): SchemaDifference[] {
  const found = publication.tables.find((one) => one.schema === 'public' && one.table === name)
  if (found === undefined) {
    return [
      published('TABLE_NOT_SENT', name, `${name} is not in the publication: it is not sent`, 'bends', setUp),
    ]
  }
  if (found.columnList) {
    const message = `the publication sends only some columns of ${name}`
    return [published('PUBLICATION_COLUMNS', name, message, 'bends', setUp)]
  }
  if (plainFilter(found.filter) === plainFilter(filter ?? null)) return []
  const message =
    found.filter === null
      ? `the publication sends every row of ${name}, private ones included`
      : `the publication sends the rows of ${name} where ${found.filter}, and should ${filter ?? 'send all'}`
  return [published('PUBLICATION_FILTER', name, message, 'bends', setUp)]
}

function compareOthers(tables: readonly PublishedTable[], publication: PublicationState): SchemaDifference[] {
  const others = publication.tables.filter(
    (one) => one.schema !== 'public' || !tables.some((table) => table.name === one.table),
  )
  return others.map(({ schema, table }) => {
    const name = schema === 'public' ? table : `${schema}.${table}`
    const message = `the publication sends ${name}, which is none of Homeport's tables`
    const fix: Fix = { on: 'primary', command: `alter publication ${publicationName} drop table ${name}` }
    return published('TABLE_FOREIGN', table, message, 'stopsLater', fix)
  })
}

function compareSubscription(
  { tables, subscription }: PublicationInput,
  publication: PublicationState,
  setUp: Fix,
): SchemaDifference[] {
  const subscribed = new Set(subscription?.tables.map((one) => one.table))
  return tables
    .filter(({ name }) => !subscribed.has(name) && publication.tables.some((one) => one.table === name))
    .map(({ name }) => {
      const message = `${name} is published, and the subscription does not know it yet: its changes are left out`
      return { ...published('TABLE_NOT_SUBSCRIBED', name, message, 'bends', setUp), side: 'cloud' }
    })
}

function published(
  code: string,
  table: string | null,
  message: string,
  effect: Effect,
  fix: Fix,
): SchemaDifference {
  return { code, side: 'primary', table, message, effect, fix }
}
