import type { Queryable } from '../core/db.ts'
import { errorCode } from '../core/errors.ts'
import { publicationName, subscriptionName } from '../core/published-tables.ts'
import { fragment, identifier, literal, loadSql, renderSql } from '../core/sql.ts'
import { majorVersion, type ServerFacts } from './server-facts.ts'
import type { Step } from './step.ts'

export interface SubscriptionState {
  oid: string
  enabled: boolean
  binary: boolean
  /** true/false on 15, t/p/f since 16 */
  streaming: string
  disableOnError: boolean
  slot: string | null
  publications: readonly string[]
  /** null when this role may not read it */
  connection: string | null
  tables: readonly SubscriptionTable[]
}

export interface SubscriptionTable {
  table: string
  /** i waiting, d copying, f copied, s catching up, r ready */
  state: string
  copiedRows: string
}

/** The subscription of this database; null when there is none. */
export async function readSubscription(db: Queryable): Promise<SubscriptionState | null> {
  type Row = Omit<SubscriptionState, 'connection' | 'tables'>
  const { rows } = await db.query<Row>(loadSql('checks/subscription'), [subscriptionName])
  const found = rows[0]
  if (found === undefined) return null
  return { ...found, connection: await readConnection(db), tables: await readSubscriptionTables(db) }
}

export async function readSubscriptionTables(db: Queryable): Promise<SubscriptionTable[]> {
  const { rows } = await db.query<SubscriptionTable>(loadSql('checks/subscription-tables'), [
    subscriptionName,
  ])
  return rows
}

async function readConnection(db: Queryable): Promise<string | null> {
  try {
    const sql = loadSql('checks/subscription-connection')
    const { rows } = await db.query<{ connection: string }>(sql, [subscriptionName])
    return rows[0]?.connection ?? null
  } catch (error) {
    if (errorCode(error) === '42501') return null
    throw error
  }
}

/** Binary values are 2.65 times smaller for vectors, and safe only between like servers. */
export function wantsBinary(primary: ServerFacts, cloud: ServerFacts): boolean {
  return majorVersion(primary) === majorVersion(cloud) && primary.pgvector === cloud.pgvector
}

export interface SubscriptionPlanInput {
  state: SubscriptionState | null
  conninfo: string
  shownConninfo: string
  slot: string
  binary: boolean
  tables: readonly string[]
  /** whether a slot of that name is there from a run that was cut off */
  slotIsLeftOver: boolean
}

/** The statements that make the slot and the subscription what they should be; none when they are. */
export function planSubscription(input: SubscriptionPlanInput): Step[] {
  const state = input.state
  if (state === null) return planNewSubscription(input)
  const names = { subscription: identifier(subscriptionName), binary: fragment(String(input.binary)) }
  const alter = (what: string, template: string): Step => ({
    side: 'cloud',
    what,
    sql: renderSql(`replication/${template}`, names),
  })
  const steps: Step[] = []
  if (state.connection !== input.conninfo) {
    const what =
      state.connection === null
        ? 'set the connection again (this role may not read what it is)'
        : 'change the connection to the one in REPLICATION_DATABASE_URL'
    const repeated = state.connection === null ? { repeated: true } : {}
    steps.push({ ...planConnection(input.conninfo, input.shownConninfo), what, ...repeated })
  }
  const streams = ['t', 'p', 'true'].includes(state.streaming)
  // With disable_on_error a lost connection switches it off for good: the primary's restart is one.
  if (state.binary !== input.binary || !streams || state.disableOnError) {
    steps.push(alter('set its options', 'set-subscription-options'))
  }
  if (!state.enabled) steps.push(alter('switch it on again', 'enable-subscription'))
  const known = new Set(state.tables.map((table) => table.table))
  if (known.size !== input.tables.length || input.tables.some((table) => !known.has(table))) {
    // Refusing to refresh while it is off is Postgres's rule, so this comes last.
    steps.push({
      ...alter('take the new list of tables', 'refresh-subscription'),
      kind: 'subscription',
    })
  }
  return steps
}

/** The statement that gives the subscription a connection. */
export function planConnection(conninfo: string, shownConninfo: string): Step {
  const template = 'replication/set-subscription-connection'
  const subscription = identifier(subscriptionName)
  return {
    side: 'cloud',
    kind: 'subscription',
    connects: true,
    what: 'set its connection',
    sql: renderSql(template, { subscription, connection: literal(conninfo) }),
    shown: renderSql(template, { subscription, connection: literal(shownConninfo) }),
  }
}

/** The statements that remove the subscription without asking the primary, whose slot stays. */
export function dropSubscriptionStatements(): string[] {
  return ['disable-subscription', 'release-slot', 'drop-subscription'].map((template) =>
    renderSql(`replication/${template}`, { subscription: identifier(subscriptionName) }),
  )
}

/** Removes the subscription; its slot on the primary stays. */
export async function dropSubscription(cloud: Queryable): Promise<void> {
  for (const sql of dropSubscriptionStatements()) await cloud.query(sql)
}

function planNewSubscription(input: SubscriptionPlanInput): Step[] {
  const slot = literal(input.slot)
  const names = {
    subscription: identifier(subscriptionName),
    publication: identifier(publicationName),
    slot,
    binary: fragment(String(input.binary)),
  }
  const template = 'replication/create-subscription'
  const dropLeftOver: Step = {
    side: 'primary',
    what: 'drop the slot that an earlier run left behind',
    sql: renderSql('replication/drop-slot', { slot }),
  }
  return [
    ...(input.slotIsLeftOver ? [dropLeftOver] : []),
    {
      side: 'primary',
      kind: 'slot',
      slot: input.slot,
      what: 'keep what the cloud has not taken yet',
      sql: renderSql('replication/create-slot', { slot }),
    },
    {
      side: 'cloud',
      kind: 'subscription',
      connects: true,
      what: 'subscribe, and copy what is there',
      sql: renderSql(template, { ...names, connection: literal(input.conninfo) }),
      shown: renderSql(template, { ...names, connection: literal(input.shownConninfo) }),
    },
  ]
}
