import type pg from 'pg'
import { errorMessage } from '../core/errors.ts'
import { publicationName, subscriptionName } from '../core/published-tables.ts'
import { fragment, identifier, joinSql, literal, loadSql, renderSql } from '../core/sql.ts'
import { parseCredentials } from './credentials.ts'
import type { Side } from './finding.ts'
import { readPublication } from './publication.ts'
import { promoted } from './relay/apply/errors.ts'
import { hasRelayTables, readRelayStates } from './relay/relay-state.ts'
import { planRestoredKeys, readForeignKeys } from './relay/setup/foreign-keys.ts'
import { readRoleState } from './role-facts.ts'
import { openServer, type Server } from './servers.ts'
import { dropSlot, readSlots, slotNameFor, type SlotFacts } from './slot.ts'
import { dropSubscription, dropSubscriptionStatements, readSubscription } from './subscription.ts'

export interface TeardownOptions {
  primaryUrl: string
  cloudUrl: string
  /** drop the roles as well; their names come from these URLs */
  roles?: { readerUrl: string; replicationUrl: string; relayUrl?: string; gatewayUrl?: string }
  onStep?: (side: Side, what: string) => void
}

export interface TeardownReport {
  /** what was removed, in words */
  removed: readonly string[]
  /** what a setup had dropped and is there again, in words */
  restored: readonly string[]
  /** what could not be removed, with the statement that a person runs there */
  left: readonly { side: Side; reason: string; sql: string }[]
}

/**
 * Removes subscription or relay record, slot and publication, and nothing else: no row of content is ever
 * dropped. Foreign keys that a setup in relay mode had to drop come back.
 * Does what it can when one side does not answer, and says what is left. A second run finds nothing.
 *
 * @throws HomeportError PROMOTED, exit 2, for a cloud that is a primary by now: it keeps its mark, its roles and its
 * publication, whoever asks with settings from before.
 */
export async function teardownReplication(options: TeardownOptions): Promise<TeardownReport> {
  const [cloud, primary] = await Promise.allSettled([
    openServer('cloud', options.cloudUrl),
    openServer('primary', options.primaryUrl),
  ])
  const report: Report = { removed: [], restored: [], left: [] }
  let slot: string | null = null
  try {
    if (cloud.status === 'fulfilled') await refusePromoted(cloud.value)
    if (cloud.status === 'fulfilled') slot = await tearDownCloud(cloud.value, options, report)
    else leaveCloud(errorMessage(cloud.reason), report)
    if (primary.status === 'fulfilled') await tearDownPrimary(primary.value, slot, options, report)
    else leavePrimary(errorMessage(primary.reason), slot, report)
    if (cloud.status === 'fulfilled' && primary.status === 'fulfilled') {
      await restoreForeignKeys(primary.value, cloud.value, options, report)
    }
  } finally {
    if (cloud.status === 'fulfilled') await cloud.value.pool.end()
    if (primary.status === 'fulfilled') await primary.value.pool.end()
  }
  return report
}

interface Report {
  removed: string[]
  restored: string[]
  left: { side: Side; reason: string; sql: string }[]
}

async function refusePromoted({ pool, facts }: Server): Promise<void> {
  const slot = slotNameFor(facts)
  // The record of another slot came here with a copy of the primary, and goes.
  const own = (await readRelayStates(pool)).find((state) => state.slot === slot)
  if (own?.state === 'promoted') throw promoted(slot, 2)
}

/** Returns the name of the slot that the subscription used or would have used. */
async function tearDownCloud(cloud: Server, options: TeardownOptions, report: Report): Promise<string> {
  const subscription = await readSubscription(cloud.pool)
  if (subscription !== null) {
    options.onStep?.('cloud', `drop the subscription ${subscriptionName}`)
    await dropSubscription(cloud.pool)
    report.removed.push(`subscription ${subscriptionName}`)
  }
  // Before the slot: a relay that still runs finds that it has no business there any more, and stops.
  if (await hasRelayTables(cloud.pool)) {
    const { rowCount } = await cloud.pool.query(loadSql('replication/forget-relay'))
    if ((rowCount ?? 0) > 0) {
      options.onStep?.('cloud', 'forget how far the relay was')
      report.removed.push('record of the relay')
    }
  }
  await dropCloudRoles(cloud, options, report)
  return subscription?.slot ?? slotNameFor(cloud.facts)
}

async function dropCloudRoles(cloud: Server, options: TeardownOptions, report: Report): Promise<void> {
  const { roles } = options
  if (roles === undefined) return
  const given = [
    ['DATABASE_URL', roles.readerUrl],
    ['RELAY_DATABASE_URL', roles.relayUrl],
    ['GATEWAY_DATABASE_URL', roles.gatewayUrl],
  ] as const
  for (const [setting, url] of given) if (url !== undefined) await dropRole(cloud, setting, url, report)
}

/** What the primary has and the cloud lacks: a setup in relay mode dropped it where it could not be switched off. */
async function restoreForeignKeys(
  primary: Server,
  cloud: Server,
  options: TeardownOptions,
  report: Report,
): Promise<void> {
  const restored = planRestoredKeys(await readForeignKeys(primary.pool), await readForeignKeys(cloud.pool))
  for (const { key, sql } of restored) {
    options.onStep?.('cloud', `bring back the foreign key ${key.name}`)
    try {
      await cloud.pool.query(sql)
      report.restored.push(`foreign key ${key.name}`)
    } catch (error) {
      report.left.push({ side: 'cloud', reason: errorMessage(error), sql })
    }
  }
}

async function tearDownPrimary(
  primary: Server,
  slot: string | null,
  options: TeardownOptions,
  report: Report,
): Promise<void> {
  const slots = await readSlots(primary.pool)
  const mine = slots.filter((one) => slot === null || one.name === slot)
  if (slot === null && mine.length > 1) {
    for (const one of mine) {
      const sql = renderSql('replication/drop-slot', { slot: literal(one.name) })
      report.left.push({
        side: 'primary',
        reason: 'several clouds have slots, and it is not known which is meant',
        sql,
      })
    }
  } else {
    for (const one of mine) await tearDownSlot(primary.pool, one, options, report)
  }
  const others = (await readSlots(primary.pool)).length
  if (others === 0 && (await readPublication(primary.pool, publicationName)) !== null) {
    options.onStep?.('primary', `drop the publication ${publicationName}`)
    await primary.pool.query(
      renderSql('replication/drop-publication', { publication: identifier(publicationName) }),
    )
    report.removed.push(`publication ${publicationName}`)
  }
  if (options.roles !== undefined && others === 0) {
    await dropRole(primary, 'REPLICATION_DATABASE_URL', options.roles.replicationUrl, report)
  }
}

async function tearDownSlot(
  pool: pg.Pool,
  slot: SlotFacts,
  options: TeardownOptions,
  report: Report,
): Promise<void> {
  options.onStep?.('primary', `drop the slot ${slot.name}`)
  // The sender of a subscription notices within a moment that the cloud is gone; when it does not, it is told.
  if (await dropSlot(pool, slot.name, { endsReader: true })) {
    report.removed.push(`slot ${slot.name}`)
    return
  }
  const sql = renderSql('replication/drop-slot', { slot: literal(slot.name) })
  report.left.push({ side: 'primary', reason: 'the slot stays in use', sql })
}

async function dropRole(server: Server, setting: string, url: string, report: Report): Promise<void> {
  const credentials = parseCredentials(setting, url)
  const state = await readRoleState(server.pool, { ...credentials, url })
  if (state.facts === null) return
  const role = identifier(credentials.role)
  const drop = renderSql('roles/drop-role', { role })
  if (state.facts.superuser || state.facts.owns > 0 || credentials.role === server.facts.role) {
    report.left.push({
      side: server.side,
      reason: `the role ${credentials.role} has other duties`,
      sql: drop,
    })
    return
  }
  for (const grant of state.grants) {
    await server.pool.query(
      renderSql('roles/revoke', {
        privilege: fragment(grant.privilege.toLowerCase()),
        kind: fragment(grant.kind),
        name: joinSql(grant.path.map(identifier), '.'),
        role,
      }),
    )
  }
  try {
    await server.pool.query(drop)
    report.removed.push(`role ${credentials.role}`)
  } catch (error) {
    report.left.push({ side: server.side, reason: errorMessage(error), sql: drop })
  }
}

function leaveCloud(reason: string, report: Report): void {
  const statements = [...dropSubscriptionStatements(), loadSql('replication/forget-relay')]
  for (const sql of statements) report.left.push({ side: 'cloud', reason, sql })
}

function leavePrimary(reason: string, slot: string | null, report: Report): void {
  const name = slot === null ? [] : [renderSql('replication/drop-slot', { slot: literal(slot) })]
  const drop = renderSql('replication/drop-publication', { publication: identifier(publicationName) })
  for (const sql of [...name, drop]) report.left.push({ side: 'primary', reason, sql })
}
