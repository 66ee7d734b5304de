import { publicationName, publishedTables, subscriptionName } from '../../core/published-tables.ts'
import { fragment, identifier, joinSql, loadSql, renderSql } from '../../core/sql.ts'
import type { Side } from '../finding.ts'
import { planPublication } from '../publication.ts'
import { promoted } from '../relay/apply/errors.ts'
import { planRestoredKeys } from '../relay/setup/foreign-keys.ts'
import { replicaSetting } from '../relay/setup/write-roles.ts'
import { dropSubscriptionStatements } from '../subscription.ts'
import { sequenceName, type CloudFacts, type HomeFacts } from './facts.ts'
import { unknownIdentifier } from './verdicts.ts'
import { contentTriggers, foreignKeys, replicaIdentities } from './schema-parts.ts'

/** One statement of a promotion; running it again changes nothing more. */
export interface PromotionStep {
  side: Side
  /** what it does, in words */
  what: string
  sql: string
  values?: readonly (string | number)[]
  /** in one transaction with the step before: between the two it would be neither */
  joined?: true
}

const cloudStep = (what: string, sql: string): PromotionStep => ({ side: 'cloud', what, sql })

/**
 * Pure: what makes a cloud a primary and is not done yet, in order. The mark comes first: from it on no relay, gateway
 * or setup of the old home writes here, and a run that is cut off is finished by the next one, without a second proof.
 */
export function planPromotion(cloud: CloudFacts, home: HomeFacts | null): PromotionStep[] {
  return [
    ...planMark(cloud, home),
    ...planFarewell(cloud),
    ...planWriters(cloud),
    ...planSequences(cloud, home),
    ...planForeignKeys(cloud),
    ...planTriggers(cloud),
    ...planIdentities(cloud),
    ...planPublication(publicationName, publishedTables, cloud.publication).map(({ what, sql }) =>
      cloudStep(what, sql),
    ),
  ]
}

function planMark(cloud: CloudFacts, home: HomeFacts | null): PromotionStep[] {
  const { relay, subscription, heartbeat } = cloud
  if (relay?.state === 'promoted') return []
  const slot = relay?.slot ?? subscription?.slot ?? cloud.slot
  const { message, hint = '' } = promoted(slot)
  const known = relay ?? {
    systemIdentifier: home?.systemIdentifier ?? unknownIdentifier,
    timeline: 0,
    endLsn: heartbeat?.lsn ?? '0/0',
  }
  return [
    {
      side: 'cloud',
      what: 'mark it as a primary of its own: an epoch that no relay has',
      sql: loadSql('promote/mark-promoted'),
      // By the name that this database gives its slot: another one says that it came with a copy.
      values: [cloud.slot, known.systemIdentifier, known.timeline, known.endLsn, message, hint],
    },
  ]
}

/**
 * Without asking home, which may be gone. A subscription knows no mark: it is switched off together with it, or a home
 * that comes back in between would write on.
 */
function planFarewell({ relay, subscription }: CloudFacts): PromotionStep[] {
  if (subscription === null) return []
  const [off = '', part = '', drop = ''] = dropSubscriptionStatements()
  const joined = relay?.state === 'promoted' ? {} : ({ joined: true } as const)
  return [
    ...(subscription.enabled ? [{ ...cloudStep('switch the subscription off', off), ...joined }] : []),
    ...(subscription.slot === null ? [] : [cloudStep('part it from its slot', part)]),
    cloudStep(`drop the subscription ${subscriptionName}`, drop),
  ]
}

function planWriters({ writers, replicaHolders }: CloudFacts): PromotionStep[] {
  return [
    ...writers.map(({ role, tables }) =>
      cloudStep(
        `take the right to write content from ${role}`,
        renderSql('promote/revoke-writes', { tables: listTables(tables), role: identifier(role) }),
      ),
    ),
    ...replicaHolders
      .filter(({ mayRevoke }) => mayRevoke)
      .map(({ role }) =>
        cloudStep(`take the right to set ${replicaSetting} from ${role}`, revokeReplicaSetting(role)),
      ),
  ]
}

/** The statement that takes the right from a role to switch triggers and foreign keys off. */
export function revokeReplicaSetting(role: string): string {
  return renderSql('roles/revoke', {
    privilege: fragment('set'),
    kind: fragment('parameter'),
    name: fragment(replicaSetting),
    role: identifier(role),
  })
}

function listTables(names: readonly string[]) {
  return joinSql(names.map((name) => fragment(`public.${identifier(name).sql}`)))
}

/** Logical replication carries no sequences: here they stand where they stood when the cloud was made. */
function planSequences({ sequences }: CloudFacts, home: HomeFacts | null): PromotionStep[] {
  return sequences.flatMap(({ name, maxima, last, maximum }) => {
    // Numbers that only home's private rows have are not given a second time either.
    const floor = name === 'change_seq' ? (home?.changeSeq ?? '0') : '0'
    const highest = [floor, maximum ?? '0'].map(BigInt).reduce((a, b) => (a > b ? a : b))
    if (highest <= BigInt(last ?? '0')) return []
    return [
      {
        side: 'cloud' as const,
        what: `have the sequence ${name} go on after ${highest}`,
        sql: renderSql('promote/set-sequence', { maxima: fragment(maxima) }),
        values: [sequenceName(name), floor],
      },
    ]
  })
}

function planForeignKeys(cloud: CloudFacts): PromotionStep[] {
  const unchecked = cloud.foreignKeys.filter(({ definition }) => definition.endsWith(' NOT VALID'))
  return [
    ...planRestoredKeys(foreignKeys, cloud.foreignKeys).map(({ key, sql }) =>
      cloudStep(`bring back the foreign key ${key.name}, and check every row`, sql),
    ),
    ...unchecked.map(({ table, name }) =>
      cloudStep(
        `check every row against the foreign key ${name}`,
        renderSql('promote/validate-foreign-key', { table: identifier(table), name: identifier(name) }),
      ),
    ),
  ]
}

function planTriggers({ triggers }: CloudFacts): PromotionStep[] {
  const silent = contentTriggers.filter(({ table, trigger }) =>
    triggers.some((one) => one.table === table && one.trigger === trigger && !one.fires),
  )
  return silent.map(({ table, trigger }) =>
    cloudStep(
      `switch the trigger ${trigger} on`,
      renderSql('promote/enable-trigger', { table: identifier(table), trigger: identifier(trigger) }),
    ),
  )
}

function planIdentities({ identities }: CloudFacts): PromotionStep[] {
  const wrong = replicaIdentities.filter(
    ({ table, columns }) => (identities.get(table) ?? []).join() !== columns.join(),
  )
  return wrong.map(({ table, index }) =>
    cloudStep(
      `give ${table} its replica identity`,
      renderSql('promote/set-replica-identity', { table: identifier(table), index: identifier(index) }),
    ),
  )
}
