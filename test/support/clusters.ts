import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Cluster } from '../../ops/local/cluster.ts'
import { resolveDataFolder } from '../../ops/local/data-folder.ts'
import { withFileLock } from '../../ops/local/file-lock.ts'
import { findPostgres, type PostgresBinaries } from '../../ops/local/find-postgres.ts'
import { clustersFolder, diskFolder } from './test-folder.ts'

export interface TestClusters {
  primary: Cluster
  cloud: Cluster
}

let pair: Promise<TestClusters> | undefined

/**
 * Where the shared pair lies: a folder of this run when test/run.ts started us, else one that stays up
 * between single tests.
 */
export function testClustersFolder(): string {
  return process.env['HOMEPORT_TEST_CLUSTERS'] ?? join(diskFolder, 'shared')
}

/**
 * A primary and a cloud that all test files share, started by the first that needs them. They do not
 * fsync. Never stop them in a test: {@link privateCluster} is for that.
 */
export function testClusters(): Promise<TestClusters> {
  pair ??= startPair(testClustersFolder())
  return pair
}

/** The pair in a folder, not started. */
export function clusterPair(wanted: string): TestClusters {
  const { folder } = resolveDataFolder(wanted)
  const postgres = findPostgres()
  const cluster = (name: string) =>
    new Cluster({ name, folder: join(folder, `${name}-${postgres.majorVersion}`), postgres, durable: false })
  return { primary: cluster('primary'), cloud: cluster('cloud') }
}

async function startPair(wanted: string): Promise<TestClusters> {
  return withFileLock(`${wanted}.lock`, async () => {
    const clusters = clusterPair(wanted)
    await Promise.all([clusters.primary.start(), clusters.cloud.start()])
    return clusters
  })
}

export interface PrivateClusterOptions {
  /** another version than that of the pair, as postgres-17.ts finds it */
  postgres?: PostgresBinaries
}

/** A started cluster of the test's own, to stop, kill and start again; removed at the end of the test. */
export async function privateCluster(
  t: Test,
  name = 'primary',
  { postgres = findPostgres() }: PrivateClusterOptions = {},
): Promise<Cluster> {
  const wanted = join(clustersFolder(), `private-${process.pid}-${Math.random().toString(36).slice(2, 8)}`)
  const { folder } = resolveDataFolder(wanted)
  const cluster = new Cluster({ name, folder: join(folder, name), postgres, durable: false })
  t.teardown(async () => {
    await cluster.destroy()
    rmSync(folder, { recursive: true, force: true })
    rmSync(wanted, { recursive: true, force: true })
  })
  await cluster.start()
  return cluster
}
