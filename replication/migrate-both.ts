import { HomeportError } from '../core/errors.ts'
import { failpoint } from '../core/failpoint.ts'
import {
  listMigrations,
  migrate,
  migrationsFolder,
  migrationState,
  type MigrationState,
} from '../core/migrate.ts'
import { publicationName, publishedTables } from '../core/published-tables.ts'
import { refuseOnErrors, type Finding, type Side } from './finding.ts'
import { planMigrationSteps, type MigrationStep } from './migration-steps.ts'
import { readPublication } from './publication.ts'
import { rehearseMigrations } from './rehearse-migrations.ts'
import { readRelayState } from './relay/relay-state.ts'
import { toFinding } from './schema-difference.ts'
import { comparePublication } from './schema-publication.ts'
import { judgeSchema } from './schema-verdicts.ts'
import { judgeServer, judgeServerPair } from './server-verdicts.ts'
import { withServers, type Server, type ServerUrls } from './servers.ts'
import type { ReplicationMode } from './settings-verdicts.ts'
import { readSubscription } from './subscription.ts'
import { readTableFacts } from './table-facts.ts'
import { passFence } from './verify/fence.ts'

export interface MigrateBothOptions extends ServerUrls {
  /** Names what is missing, changes nothing. */
  dryRun?: boolean
  /** where the migrations lie (default: this program's) */
  folder?: string
  /** how long the cloud may take to catch up before something is taken away there (default 60 s) */
  fenceTimeoutMs?: number
  /** how long a table may be in use by others (default 15 s) */
  lockTimeoutMs?: number
  /** how long another migration may take (default 60 s) */
  migrationWaitMs?: number
  onNote?: (text: string) => void
  onWarning?: (finding: Finding) => void
  onStep?: (step: MigrationStep) => void
  signal?: AbortSignal
}

export interface MigrateBothReport {
  /** names of the migrations that were (or, in a dry run, would be) applied */
  cloud: readonly string[]
  primary: readonly string[]
  /** the same in their order, with what waits for the cloud */
  steps: readonly MigrationStep[]
  /** how the cloud follows; null when it does not */
  mode: ReplicationMode | null
  warnings: readonly Finding[]
}

/**
 * Brings the schema of both servers up to date: what adds to it on the cloud first, what takes away on the primary
 * first. All of it is tried in transactions that are rolled back before anything is changed. A subscription or relay
 * may run meanwhile. Killed at any moment, a second run finishes it.
 *
 * @throws HomeportError, exit 2, when one of the servers cannot be used (absent, too old, a standby, without pgvector,
 * both the same), MIGRATION_COLLIDES or MIGRATION_WOULD_STOP when a change by hand is in the way; CLOUD_BEHIND when
 * the cloud does not catch up before a migration that takes something away; MIGRATION_RUNS while another one is at
 * work; MIGRATION_BLOCKED while somebody uses a table; else what migrate throws.
 */
export async function migrateBoth(options: MigrateBothOptions): Promise<MigrateBothReport> {
  return withServers(options, async ({ primary, cloud }) => {
    const servers = [
      ...judgeServer('cloud', cloud.facts),
      ...judgeServer('primary', primary.facts),
      ...judgeServerPair(primary.facts, cloud.facts),
    ]
    const folder = options.folder ?? migrationsFolder
    const warnings: Finding[] = []
    const warn = (findings: readonly Finding[]): void => {
      warnings.push(...findings)
      for (const finding of findings) options.onWarning?.(finding)
    }
    warn(servers.filter((finding) => finding.severity === 'warning'))
    refuseOnErrors(servers, 'these servers cannot be used')
    const state = {
      cloud: await migrationState(options.cloudUrl, folder),
      primary: await migrationState(options.primaryUrl, folder),
    }
    warn([...judgeNewer('cloud', state.cloud), ...judgeNewer('primary', state.primary)])
    const steps = planMigrationSteps(listMigrations(folder), {
      cloud: state.cloud.missing,
      primary: state.primary.missing,
    })
    const mode = await readMode(cloud)
    if (steps.length > 0) await rehearseMigrations({ ...options, folder, mode })
    if (options.dryRun === true) {
      return { cloud: state.cloud.missing, primary: state.primary.missing, steps, mode, warnings }
    }
    const applied: Record<Side, string[]> = { cloud: [], primary: [] }
    for (const step of steps) {
      options.onStep?.(step)
      if (step.fence) await waitForCloud(step, { primary, cloud }, options)
      const url = step.side === 'cloud' ? options.cloudUrl : options.primaryUrl
      const until = step.names.at(-1)
      const done = await migrate(url, { ...options, folder, ...(until === undefined ? {} : { until }) })
      applied[step.side].push(...done.applied)
      await failpoint('migrate.between-sides')
    }
    // What is still different was made by hand: no migration brings it.
    warn((await judgeBoth(primary, cloud, mode)).filter(({ severity }) => severity === 'error'))
    return { ...applied, steps, mode, warnings }
  })
}

async function readMode(cloud: Server): Promise<ReplicationMode | null> {
  if ((await readRelayState(cloud.pool)) !== null) return 'relay'
  return cloud.facts.follows ? 'native' : null
}

/** Rows of the old shape that are still on their way would have no place any more. */
async function waitForCloud(
  { names }: MigrationStep,
  { primary, cloud }: { primary: Server; cloud: Server },
  { fenceTimeoutMs, signal }: MigrateBothOptions,
): Promise<void> {
  if ((await readMode(cloud)) === null) return
  const outcome = await passFence({
    primary: primary.pool,
    cloud: cloud.pool,
    passed: { beat: true },
    timeoutMs: fenceTimeoutMs ?? 60_000,
    ...(signal === undefined ? {} : { signal }),
  })
  if (outcome.passed) return
  throw new HomeportError(
    'CLOUD_BEHIND',
    `${names.join(', ')} waits for the cloud, which may still need what it takes away: ${outcome.reason ?? 'it is behind'}`,
    { hint: 'let the cloud catch up (ops status says what it waits for), then ops migrate again goes on' },
  )
}

function judgeNewer(side: Side, { unknown }: MigrationState): Finding[] {
  if (unknown.length === 0) return []
  const message = `it has ${unknown.join(', ')} of a newer Homeport; what was there before is as it was`
  return [
    { code: 'MIGRATION_UNKNOWN', side, severity: 'warning', message, fix: 'update Homeport on this machine' },
  ]
}

/** And tables that are new are published by the setup, not by a migration. */
async function judgeBoth(primary: Server, cloud: Server, mode: ReplicationMode | null): Promise<Finding[]> {
  const publication = await readPublication(primary.pool, publicationName)
  const subscription = await readSubscription(cloud.pool)
  return [
    ...judgeSchema({
      tables: publishedTables,
      primary: await readTableFacts(primary.pool, publishedTables),
      cloud: await readTableFacts(cloud.pool, publishedTables),
    }),
    ...comparePublication({ tables: publishedTables, mode, publication, subscription }).map(toFinding),
  ]
}
