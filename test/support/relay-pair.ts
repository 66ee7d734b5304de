import { join } from 'node:path'
import type { Test } from 'tap'
import type pg from 'pg'
import { createPool } from '../../core/db.ts'
import { migrate } from '../../core/migrate.ts'
import type { Cluster } from '../../ops/local/cluster.ts'
import { temporaryFolder } from './api.ts'
import { testClusters } from './clusters.ts'
import { createDatabase, queryRows, uniqueName } from './databases.ts'
import { OpsProcess, startOps, type OpsProcessOptions } from './ops-process.ts'
import { dropRole } from './roles.ts'
import { prepareWorkload } from './workload.ts'

export interface RelayPair {
  /** as superuser */
  primaryUrl: string
  cloudUrl: string
  primary: pg.Pool
  cloud: pg.Pool
  slot: string
  /** the relay's, and where its spool lies */
  stateFolder: string
  /** what `ops` needs to find all of it */
  settings: Readonly<Record<string, string>>
}

export interface RelayPairOptions {
  /** a test's own server instead of the shared one */
  primaryCluster?: Cluster
  cloudCluster?: Cluster
  /** runs before the setup, on superuser's pools */
  prepare?: (primary: pg.Pool, cloud: pg.Pool) => Promise<void>
}

const password = `it's a "pass": %/?#`

/** Two migrated databases, the second following the first by relay: set up and seeded by the real commands. */
export async function createRelayPair(t: Test, options: RelayPairOptions = {}): Promise<RelayPair> {
  // Roles go last, once nothing depends on them.
  const atHome = namedRoles(t, 'primary', options.primaryCluster, ['REPLICATION_DATABASE_URL'])
  const inCloud = namedRoles(t, 'cloud', options.cloudCluster, [
    'DATABASE_URL',
    'RELAY_DATABASE_URL',
    'GATEWAY_DATABASE_URL',
  ])
  const primaryUrl = await databaseOn(t, 'primary', options.primaryCluster)
  const cloudUrl = await databaseOn(t, 'cloud', options.cloudCluster)
  const stateFolder = join(temporaryFolder(t), 'relay')
  const settings = {
    LOCAL_DATABASE_URL: primaryUrl,
    PRODUCTION_DATABASE_URL: cloudUrl,
    ...atHome(primaryUrl),
    ...inCloud(cloudUrl),
    RELAY_STATE_PATH: stateFolder,
    RELAY_PORT: '0',
  }
  const primary = createPool({ connectionString: primaryUrl, applicationName: 'homeport test' })
  const cloud = createPool({ connectionString: cloudUrl, applicationName: 'homeport test' })
  t.teardown(() => Promise.all([primary.end(), cloud.end()]))
  await prepareWorkload(primary)
  await options.prepare?.(primary, cloud)
  await runOps({ args: ['setup-replication', '--mode', 'relay'], settings })
  const { rows } = await cloud.query<{ slot: string }>('select slot from relay_progress')
  return { primaryUrl, cloudUrl, primary, cloud, slot: rows[0]?.slot ?? '', stateFolder, settings }
}

/** Runs an `ops` command to its end; its stdout. @throws with what it said unless it ends with exit code 0. */
export async function runOps(options: OpsProcessOptions): Promise<string> {
  const process = new OpsProcess(options)
  const code = await process.ends(300_000)
  if (code === 0) return process.stdout
  throw new Error(`ops ${options.args.join(' ')} ended with exit code ${code}:\n${process.stderr}`)
}

/** Starts `ops relay` for a pair; more settings replace the pair's. */
export function startRelay(
  t: Pick<Test, 'teardown' | 'passing' | 'comment'>,
  pair: RelayPair,
  options: Partial<OpsProcessOptions> = {},
): OpsProcess {
  return startOps(t, {
    ...options,
    args: ['relay', ...(options.args ?? [])],
    settings: { ...pair.settings, ...options.settings },
  })
}

async function databaseOn(t: Test, where: 'primary' | 'cloud', own: Cluster | undefined): Promise<string> {
  if (own === undefined) return createDatabase(t, where)
  await queryRows(own.superuserUrl(), 'create database homeport')
  await migrate(own.superuserUrl('homeport'))
  return own.superuserUrl('homeport')
}

/** Roles that do not exist yet, by setting, as URLs of a database; dropped after the test. */
function namedRoles<Name extends string>(
  t: Test,
  where: 'primary' | 'cloud',
  own: Cluster | undefined,
  names: readonly Name[],
): (url: string) => Record<Name, string> {
  const roles = names.map((name) => [name, uniqueName(name.split('_')[0]?.toLowerCase() ?? '')] as const)
  t.teardown(async () => {
    // A server of the test's own goes as a whole.
    if (own !== undefined) return
    const { [where]: cluster } = await testClusters()
    for (const [, role] of roles) await dropRole(cluster.superuserUrl(), role)
  })
  return (url) => {
    const urls = roles.map(([name, role]) => {
      const changed = new URL(url)
      changed.username = role
      changed.password = encodeURIComponent(password)
      return [name, changed.href]
    })
    return Object.fromEntries(urls) as Record<Name, string>
  }
}
