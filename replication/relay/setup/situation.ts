import { publicationName, type PublishedTable } from '../../../core/published-tables.ts'
import { checkParameters, parseCredentials, type Credentials } from '../../credentials.ts'
import { judgeExisting, judgeFilledTables, judgePublicRights } from '../../existing-verdicts.ts'
import { refuseOnErrors, type Finding } from '../../finding.ts'
import { readPublication, type PublicationState } from '../../publication.ts'
import {
  readPublicRights,
  readReplicaRight,
  readRoleState,
  type PublicRights,
  type ReplicaRight,
  type RoleState,
} from '../../role-facts.ts'
import { judgeRole } from '../../role-verdicts.ts'
import { judgeSchema } from '../../schema-verdicts.ts'
import { judgeServer, judgeServerPair } from '../../server-verdicts.ts'
import type { Server } from '../../servers.ts'
import { judgePrimarySettings } from '../../settings-verdicts.ts'
import { readSlots, slotNameFor } from '../../slot.ts'
import { readSubscription } from '../../subscription.ts'
import { hasIngested, readFilledTables, readTableFacts } from '../../table-facts.ts'
import { judgeAddresses } from '../../url-verdicts.ts'
import { readPrimaryFacts } from '../primary-facts.ts'
import { hasRelayTables, readRelayStates, type RelayState } from '../relay-state.ts'
import type { SeedWork } from '../seed/run-seed.ts'
import { readForeignKeys, type ForeignKey } from './foreign-keys.ts'
import { judgeModes } from './mode-verdicts.ts'
import { decideSeed, tablesToBeEmpty } from './seed-work.ts'
import { judgeDurability, judgeSharedRoles, type WriteRole } from './write-roles.ts'

export interface RelayUrls {
  /** DATABASE_URL: this role is made on the cloud */
  readerUrl: string
  /** REPLICATION_DATABASE_URL: this role is made on the primary; the relay reads with it, from this machine */
  replicationUrl: string
  /** RELAY_DATABASE_URL: this role is made on the cloud; the relay writes with it, from this machine */
  relayUrl?: string
  /** GATEWAY_DATABASE_URL: this role is made on the cloud; the gateway writes with it */
  gatewayUrl?: string
}

export interface RelaySituation {
  primary: Server
  cloud: Server
  reader: Credentials
  replicator: Credentials
  readerState: RoleState
  replicatorState: RoleState
  writers: readonly WriteRole[]
  replicaRight: ReplicaRight
  foreignKeys: readonly ForeignKey[]
  publicRights: PublicRights
  publication: PublicationState | null
  slot: string
  state: RelayState | null
  /** what is still to be copied; null when nothing is */
  work: SeedWork | null
  findings: readonly Finding[]
}

/** Everything a setup in relay mode has to know, and what is in its way. */
export async function readRelaySituation(
  urls: RelayUrls & { primaryUrl: string; cloudUrl: string },
  tables: readonly PublishedTable[],
  { primary, cloud }: { primary: Server; cloud: Server },
): Promise<RelaySituation> {
  const pair = judgeServerPair(primary.facts, cloud.facts)
  const servers = [
    ...judgeServer('primary', primary.facts),
    ...judgeServer('cloud', cloud.facts),
    ...(pair.length > 0 ? pair : judgeAddresses(urls)),
  ]
  // What comes next would only confuse on one server, or fail on one that is too old.
  refuseOnErrors(servers, 'the relay cannot be set up between these servers')
  const reader = parseCredentials('DATABASE_URL', urls.readerUrl)
  const replicator = parseCredentials('REPLICATION_DATABASE_URL', urls.replicationUrl)
  checkParameters('REPLICATION_DATABASE_URL', replicator)
  const writers = await readWriters(urls, cloud)
  const readerState = await readRoleState(cloud.pool, { ...reader, url: urls.readerUrl })
  const replicatorState = await readRoleState(primary.pool, { ...replicator, url: urls.replicationUrl })
  const primaryTables = await readTableFacts(primary.pool, tables)
  const cloudTables = await readTableFacts(cloud.pool, tables)
  const publication = await readPublication(primary.pool, publicationName)
  const publicRights = await readPublicRights(cloud.pool)
  const slot = slotNameFor(cloud.facts)
  const states = await readRelayStates(cloud.pool)
  const slots = await readSlots(primary.pool)
  const names = tables.map((table) => table.name)
  const seeding = {
    slotName: slot,
    state: states.find((state) => state.slot === slot) ?? null,
    slot: slots.find((one) => one.name === slot) ?? null,
    primary: await readPrimaryFacts(primary.pool, slot),
    tables: names,
  }
  const { work, findings } = decideSeed(seeding)
  const subscription = await readSubscription(cloud.pool)
  const wantedEmpty = tablesToBeEmpty(seeding).filter((table) => cloudTables.has(table))
  const filled = subscription === null ? await readFilledTables(cloud.pool, wantedEmpty) : []
  const roles = [
    {
      side: 'primary' as const,
      setting: 'REPLICATION_DATABASE_URL',
      credentials: replicator,
      state: replicatorState,
      server: primary.facts,
    },
    ...[{ setting: 'DATABASE_URL', credentials: reader, state: readerState }, ...writers].map((role) => ({
      ...role,
      side: 'cloud' as const,
      server: cloud.facts,
    })),
  ]
  const subscribed = seeding.slot !== null
  return {
    primary,
    cloud,
    reader,
    replicator,
    readerState,
    replicatorState,
    writers,
    replicaRight: await readReplicaRight(
      cloud.pool,
      writers.map((role) => role.credentials.role),
    ),
    foreignKeys: await readForeignKeys(cloud.pool),
    publicRights,
    publication,
    slot,
    state: seeding.state,
    work,
    findings: [
      ...servers,
      ...judgePrimarySettings({ primary: primary.facts, cloud: cloud.facts, subscribed, mode: 'relay' }),
      ...roles.flatMap((role) => judgeRole(role)),
      ...judgeSharedRoles(
        roles.slice(1).map(({ setting, credentials }) => ({ setting, role: credentials.role })),
      ),
      ...writers.flatMap((role) => judgeDurability(role, cloud.facts)),
      ...judgeSchema({ tables, primary: primaryTables, cloud: cloudTables }),
      ...(cloudTables.size > 0 && !(await hasRelayTables(cloud.pool)) ? [lacksRelayTables] : []),
      ...judgeModes({ subscription, states, slot }),
      ...(subscription === null ? findings : []),
      ...judgeFilledTables(filled, filled.length > 0 && (await hasIngested(cloud.pool))),
      ...judgeExisting({ subscription: null, slots: [], publication, slot }),
      ...judgePublicRights(publicRights, cloud.facts),
    ],
  }
}

const lacksRelayTables: Finding = {
  code: 'NOT_MIGRATED',
  side: 'cloud',
  severity: 'error',
  message: "this database lacks the relay's tables",
  fix: 'ops migrate',
}

async function readWriters(urls: RelayUrls, cloud: Server): Promise<WriteRole[]> {
  const given = [
    { setting: 'RELAY_DATABASE_URL', url: urls.relayUrl },
    { setting: 'GATEWAY_DATABASE_URL', url: urls.gatewayUrl },
  ] as const
  const writers: WriteRole[] = []
  for (const { setting, url } of given) {
    if (url === undefined) continue
    const credentials = parseCredentials(setting, url)
    writers.push({
      setting,
      url,
      credentials,
      state: await readRoleState(cloud.pool, { ...credentials, url }),
    })
  }
  return writers
}
