import type { Queryable } from '../../core/db.ts'
import { migrationState } from '../../core/migrate.ts'
import { publicationName, publishedTables } from '../../core/published-tables.ts'
import { fragment, identifier, joinSql, loadSql, renderSql } from '../../core/sql.ts'
import { readHeartbeat, type HeartbeatState } from '../heartbeat.ts'
import { readSubscriptionWorkers, type SubscriptionWorkers } from '../initial-copy.ts'
import { readPublication, type PublicationState } from '../publication.ts'
import { readRelayStates, type RelayState } from '../relay/relay-state.ts'
import { readForeignKeys, type ForeignKey } from '../relay/setup/foreign-keys.ts'
import type { ServerFacts } from '../server-facts.ts'
import type { Server } from '../servers.ts'
import { readSlots, slotNameFor, type SlotFacts } from '../slot.ts'
import { readSubscription, type SubscriptionState } from '../subscription.ts'
import { readTableFacts } from '../table-facts.ts'
import { readFence, type FenceState } from './fence.ts'

/** A sequence and whether it is ahead of all that took their numbers from it. */
export interface SequenceFacts {
  name: string
  /** (select max(column) from table), one for each column that uses it */
  maxima: string
  /** what it gave last; null when nothing yet */
  last: string | null
  /** the highest number in use; null when none is */
  maximum: string | null
}

/** The cloud, as far as a promotion has to know it. */
export interface CloudFacts {
  server: Pick<ServerFacts, 'inRecovery' | 'walLevel' | 'database'>
  missingMigrations: readonly string[]
  slot: string
  relay: RelayState | null
  /** slots of records that came here with a copy of another cloud */
  foreignSlots: readonly string[]
  subscription: SubscriptionState | null
  workers: SubscriptionWorkers | null
  heartbeat: HeartbeatState | null
  /** roles of relays and gateways that may still write content */
  writers: readonly { role: string; tables: readonly string[] }[]
  /** those that may still switch triggers and foreign keys off, and whether this role may take that from them */
  replicaHolders: readonly { role: string; mayRevoke: boolean }[]
  sequences: readonly SequenceFacts[]
  foreignKeys: readonly ForeignKey[]
  triggers: readonly { table: string; trigger: string; fires: boolean }[]
  /** columns of each table's replica identity */
  identities: ReadonlyMap<string, readonly string[] | null>
  publication: PublicationState | null
}

/** Reads everything of a cloud, also of one that lacks the newest migrations. */
export async function readCloudFacts(cloud: Server): Promise<CloudFacts> {
  const { pool, facts } = cloud
  const states = await readRelayStates(pool)
  const slot = slotNameFor(facts)
  const { missing } = await migrationState(cloud.url)
  const names = publishedTables.map((table) => table.name)
  const tables = await readTableFacts(pool, publishedTables)
  return {
    server: facts,
    missingMigrations: missing,
    slot,
    relay: states.find((state) => state.slot === slot) ?? null,
    foreignSlots: states.filter((state) => state.slot !== slot).map((state) => state.slot),
    subscription: await readSubscription(pool),
    workers: await readSubscriptionWorkers(pool),
    heartbeat: missing.includes('003-proof.sql') ? null : await readHeartbeat(pool),
    writers: missing.includes('005-relay.sql') ? [] : await readWriters(pool, names),
    replicaHolders: missing.includes('005-relay.sql') ? [] : await readReplicaHolders(pool),
    sequences: await readSequences(pool),
    foreignKeys: await readForeignKeys(pool),
    triggers: (await pool.query<CloudFacts['triggers'][number]>(loadSql('promote/content-triggers'), [names]))
      .rows,
    identities: new Map([...tables.values()].map((table) => [table.table, table.identity])),
    publication: await readPublication(pool, publicationName),
  }
}

async function readWriters(db: Queryable, names: readonly string[]): Promise<CloudFacts['writers']> {
  const { rows } = await db.query<CloudFacts['writers'][number]>(loadSql('promote/writing-roles'), [names])
  return rows
}

async function readReplicaHolders(db: Queryable): Promise<CloudFacts['replicaHolders']> {
  const { rows } = await db.query<CloudFacts['replicaHolders'][number]>(loadSql('promote/replica-holders'))
  return rows
}

async function readSequences(db: Queryable): Promise<SequenceFacts[]> {
  type User = { sequence: string; table: string; column: string }
  const { rows } = await db.query<User>(loadSql('promote/sequences'))
  const sequences: SequenceFacts[] = []
  for (const name of new Set(rows.map((row) => row.sequence))) {
    const users = rows.filter((row) => row.sequence === name)
    const maxima = joinSql(
      users.map(({ table, column }) =>
        fragment(`(select max(${identifier(column).sql}) from public.${identifier(table).sql})`),
      ),
    )
    const sql = renderSql('promote/sequence-state', { maxima })
    const found = await db.query<Pick<SequenceFacts, 'last' | 'maximum'>>(sql, [sequenceName(name)])
    const { last = null, maximum = null } = found.rows[0] ?? {}
    sequences.push({ name, maxima: maxima.sql, last, maximum })
  }
  return sequences
}

/** As a regclass reads it. */
export function sequenceName(name: string): string {
  return `public.${identifier(name).sql}`
}

/** What a home that answers adds. */
export interface HomeFacts extends FenceState {
  /** slots of ours: of this cloud, and of others */
  slots: readonly SlotFacts[]
  systemIdentifier: string | null
  follows: boolean
  heartbeat: HeartbeatState | null
  /** rows that are not public, which no cloud has; files that were taken in */
  privateSources: number
  privateSegments: number
  ingestedFiles: number
  /** what change_seq gave last */
  changeSeq: string
}

export async function readHomeFacts({ pool, facts }: Server): Promise<HomeFacts> {
  type Stays = Pick<HomeFacts, 'privateSources' | 'privateSegments' | 'ingestedFiles'>
  const stays = (await pool.query<Stays>(loadSql('promote/home-only'))).rows[0]
  const last = await pool.query<{ last: string | null }>(loadSql('promote/sequence-last'), [
    sequenceName('change_seq'),
  ])
  return {
    ...(await readFence(pool)),
    slots: await readSlots(pool),
    systemIdentifier: facts.systemIdentifier,
    follows: facts.follows,
    heartbeat: await readHeartbeat(pool),
    privateSources: stays?.privateSources ?? 0,
    privateSegments: stays?.privateSegments ?? 0,
    ingestedFiles: stays?.ingestedFiles ?? 0,
    changeSeq: last.rows[0]?.last ?? '0',
  }
}
