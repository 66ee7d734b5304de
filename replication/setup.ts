import {
  publicationName,
  publishedTables as allPublishedTables,
  type PublishedTable,
} from '../core/published-tables.ts'
import { HomeportError } from '../core/errors.ts'
import { identifier, renderSql } from '../core/sql.ts'
import { applySteps } from './apply-steps.ts'
import { checkParameters, parseCredentials, toConninfo, type Credentials } from './credentials.ts'
import { judgeExisting, judgeFilledTables, judgePublicRights } from './existing-verdicts.ts'
import { refuseOnErrors, type Finding } from './finding.ts'
import { waitForCloud } from './heartbeat.ts'
import { waitForInitialCopy, type CopyProgress } from './initial-copy.ts'
import { planPublication, readPublication, type PublicationState } from './publication.ts'
import { readRelayStates } from './relay/relay-state.ts'
import { judgeRelayPresent } from './relay/setup/mode-verdicts.ts'
import { readPublicRights, readRoleState, type PublicRights, type RoleState } from './role-facts.ts'
import { judgeReaderUrl, proveConnection } from './prove-urls.ts'
import { planPublicRights, planReaderRole, planReplicationRole } from './roles.ts'
import { judgeRole } from './role-verdicts.ts'
import { judgeSchema } from './schema-verdicts.ts'
import { judgeServer, judgeServerPair } from './server-verdicts.ts'
import { withServers, type Server } from './servers.ts'
import { judgeCloudSettings, judgePrimarySettings } from './settings-verdicts.ts'
import { readSlots, slotNameFor, type SlotFacts } from './slot.ts'
import type { Step } from './step.ts'
import { planSubscription, readSubscription, wantsBinary, type SubscriptionState } from './subscription.ts'
import { countRows, hasIngested, readFilledTables, readTableFacts } from './table-facts.ts'
import { judgeAddresses } from './url-verdicts.ts'
import { ensureVectorIndex, type VectorIndexReport } from './vector-index.ts'

export interface SetupOptions {
  /** LOCAL_DATABASE_URL */
  primaryUrl: string
  /** PRODUCTION_DATABASE_URL */
  cloudUrl: string
  /** DATABASE_URL: this role is made on the cloud */
  readerUrl: string
  /** REPLICATION_DATABASE_URL: this role is made on the primary, and the cloud connects with it */
  replicationUrl: string
  /** Plans and prints, changes nothing. */
  dryRun?: boolean
  tables?: readonly PublishedTable[]
  copyTimeoutMs?: number
  slotTimeoutMs?: number
  /** how long the cloud may take to begin reading the slot (default 20 s) */
  connectTimeoutMs?: number
  signal?: AbortSignal
  onWarning?: (finding: Finding) => void
  onStep?: (step: Step) => void
  onCopy?: (progress: CopyProgress) => void
  onNote?: (text: string) => void
}

export interface SetupReport {
  /** whether anything was (or, in a dry run, would be) changed */
  changed: boolean
  steps: readonly Step[]
  warnings: readonly Finding[]
  slot: string
  /** null in a dry run */
  copy: CopyProgress | null
  index: VectorIndexReport | null
}

interface Situation {
  primary: Server
  cloud: Server
  reader: Credentials
  replicator: Credentials
  readerState: RoleState
  replicatorState: RoleState
  publicRights: PublicRights
  publication: PublicationState | null
  subscription: SubscriptionState | null
  slots: readonly SlotFacts[]
  slot: string
  findings: readonly Finding[]
}

/**
 * Makes the cloud follow the primary by a native subscription: roles, grants, publication, slot,
 * subscription, initial copy, vector index. A second run changes nothing and reports so.
 *
 * @throws HomeportError PREFLIGHT (or the one finding's code), exit 2, before anything is changed;
 * else what {@link applySteps} and {@link waitForInitialCopy} throw.
 */
export async function setupReplication(options: SetupOptions): Promise<SetupReport> {
  const tables = options.tables ?? allPublishedTables
  return withServers(options, async ({ primary, cloud }) => {
    const situation = await readSituation(options, tables, primary, cloud)
    const warnings = situation.findings.filter((finding) => finding.severity === 'warning')
    for (const warning of warnings) options.onWarning?.(warning)
    refuseOnErrors(situation.findings, 'replication cannot be set up yet')
    const steps = planSetup(situation, tables)
    const changed = steps.some((step) => step.repeated !== true)
    const report = { changed, steps, warnings, slot: situation.slot }
    if (options.dryRun === true) return { ...report, copy: null, index: null }
    await applySteps(steps, { ...options, primary, cloud })
    if (steps.some((step) => step.connects === true)) {
      await proveConnection({
        primary,
        cloud,
        slot: situation.slot,
        isNew: situation.subscription === null,
        before: situation.subscription?.connection ?? null,
        pidBefore: situation.slots.find((slot) => slot.name === situation.slot)?.activePid ?? null,
        ...(options.connectTimeoutMs === undefined ? {} : { timeoutMs: options.connectTimeoutMs }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      })
    }
    for (const warning of await judgeReaderUrl(options.readerUrl, cloud)) {
      warnings.push(warning)
      options.onWarning?.(warning)
    }
    const copy = await waitForInitialCopy({
      cloud: cloud.pool,
      ...(options.copyTimeoutMs === undefined ? {} : { timeoutMs: options.copyTimeoutMs }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.onCopy === undefined ? {} : { onProgress: options.onCopy }),
    })
    if (situation.subscription === null) {
      // Short copies are over before the server shows any progress.
      const counts = await countRows(cloud.pool, { tables, published: false })
      copy.rows = [...counts.values()].reduce((sum, count) => sum + count, 0)
      await analyze(cloud, tables)
    }
    for (const warning of await judgeFollowing(options, primary, cloud)) {
      warnings.push(warning)
      options.onWarning?.(warning)
    }
    const index = await ensureVectorIndex({
      cloud: cloud.pool,
      ...(options.onNote === undefined ? {} : { onNote: options.onNote }),
    })
    return { ...report, changed: report.changed || index.created || index.dropped.length > 0, copy, index }
  })
}

async function readSituation(
  options: SetupOptions,
  tables: readonly PublishedTable[],
  primary: Server,
  cloud: Server,
): Promise<Situation> {
  const pair = judgeServerPair(primary.facts, cloud.facts)
  const servers = [
    ...judgeServer('primary', primary.facts),
    ...judgeServer('cloud', cloud.facts),
    ...(pair.length > 0 ? pair : judgeAddresses(options)),
  ]
  // What comes next would only confuse on one server, or fail on one that is too old.
  refuseOnErrors(servers, 'replication cannot be set up between these servers')
  const reader = parseCredentials('DATABASE_URL', options.readerUrl)
  const replicator = parseCredentials('REPLICATION_DATABASE_URL', options.replicationUrl)
  checkParameters('REPLICATION_DATABASE_URL', replicator)
  const subscription = await readSubscription(cloud.pool)
  const slots = await readSlots(primary.pool)
  const slot = subscription?.slot ?? slotNameFor(cloud.facts)
  const readerState = await readRoleState(cloud.pool, { ...reader, url: options.readerUrl })
  const replicatorState = await readRoleState(primary.pool, { ...replicator, url: options.replicationUrl })
  const publication = await readPublication(primary.pool, publicationName)
  const publicRights = await readPublicRights(cloud.pool)
  const primaryTables = await readTableFacts(primary.pool, tables)
  const cloudTables = await readTableFacts(cloud.pool, tables)
  const relays = await readRelayStates(cloud.pool)
  // What a relay brought is in nobody's way: it is told that there is one.
  const fresh = subscription === null && relays.length === 0
  const filled = fresh ? await readFilledTables(cloud.pool, [...cloudTables.keys()]) : []
  const settings = { primary: primary.facts, cloud: cloud.facts, subscribed: subscription !== null }
  const roles = [
    {
      side: 'primary',
      setting: 'REPLICATION_DATABASE_URL',
      credentials: replicator,
      state: replicatorState,
      server: primary.facts,
    },
    { side: 'cloud', setting: 'DATABASE_URL', credentials: reader, state: readerState, server: cloud.facts },
  ] as const
  const findings = [
    ...servers,
    ...judgePrimarySettings(settings),
    ...judgeCloudSettings(settings),
    ...roles.flatMap((role) => judgeRole(role)),
    ...judgeSchema({ tables, primary: primaryTables, cloud: cloudTables }),
    ...judgeFilledTables(filled, filled.length > 0 && (await hasIngested(cloud.pool))),
    ...judgeExisting({ subscription, slots, publication, slot }),
    ...judgeRelayPresent({ states: relays, slot: slotNameFor(cloud.facts) }),
    ...judgePublicRights(publicRights, cloud.facts),
  ]
  return {
    primary,
    cloud,
    reader,
    replicator,
    readerState,
    replicatorState,
    publicRights,
    publication,
    subscription,
    slots,
    slot,
    findings,
  }
}

/** Everything that is not yet as it should be, in the order in which it is put right. */
function planSetup(situation: Situation, tables: readonly PublishedTable[]): Step[] {
  const { primary, cloud, replicator, reader } = situation
  const names = tables.map((table) => table.name)
  const { conninfo, shown } = toConninfo(replicator)
  return [
    ...planReplicationRole({
      ...replicator,
      state: situation.replicatorState,
      tables: names,
      pgvectorSchema: primary.facts.pgvectorSchema,
    }),
    ...planReaderRole({
      ...reader,
      state: situation.readerState,
      tables: names,
      pgvectorSchema: cloud.facts.pgvectorSchema,
    }),
    ...planPublicRights(situation.publicRights, cloud.facts),
    ...planPublication(publicationName, tables, situation.publication),
    ...planSubscription({
      state: situation.subscription,
      conninfo,
      shownConninfo: shown,
      slot: situation.slot,
      binary: wantsBinary(primary.facts, cloud.facts),
      tables: names,
      slotIsLeftOver: situation.slots.some((one) => one.name === situation.slot),
    }),
  ]
}

/** A subscription can be all as it should be and stand still: at a row it cannot apply, or at a backlog. */
async function judgeFollowing(options: SetupOptions, primary: Server, cloud: Server): Promise<Finding[]> {
  const timeoutMs = options.connectTimeoutMs ?? 10_000
  const signal = options.signal === undefined ? {} : { signal: options.signal }
  try {
    await waitForCloud({ primary: primary.pool, cloud: cloud.pool, timeoutMs, ...signal })
    return []
  } catch (error) {
    if (!(error instanceof HomeportError) || error.code !== 'CLOUD_BEHIND') throw error
    const message = 'all is set up, but the cloud has not caught up yet'
    return [
      { code: error.code, side: 'cloud', severity: 'warning', message, fix: 'ops monitor --once says why' },
    ]
  }
}

/** Without it the first searches would plan on an empty table until autovacuum comes by. */
async function analyze(cloud: Server, tables: readonly PublishedTable[]): Promise<void> {
  for (const table of tables) {
    await cloud.pool.query(renderSql('replication/analyze', { table: identifier(table.name) }))
  }
}
