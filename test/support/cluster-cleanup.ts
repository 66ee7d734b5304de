import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { processIdentity } from '../../core/process-identity.ts'
import { Cluster } from '../../ops/local/cluster.ts'
import { resolveDataFolder } from '../../ops/local/data-folder.ts'
import { withFileLock } from '../../ops/local/file-lock.ts'
import { findPostgres } from '../../ops/local/find-postgres.ts'
import { clusterPair } from './clusters.ts'
import { queryRows } from './databases.ts'
import { clustersFolder, diskFolder } from './test-folder.ts'

/** The folder for the clusters of this whole run; the process in its name owns it. */
export function testRunFolder(): string {
  return join(clustersFolder(), `run-${process.pid}`)
}

/** Stops the clusters of one run or one test and removes all of it. */
export async function stopRunClusters(wanted: string): Promise<void> {
  if (!existsSync(wanted)) return
  const { folder } = resolveDataFolder(wanted)
  const postgres = findPostgres()
  for (const name of readdirSync(folder)) {
    if (!existsSync(join(folder, name, 'data'))) continue
    // A cluster's name is its folder's, up to the version.
    const cluster = new Cluster({ name: name.split('-')[0] ?? name, folder: join(folder, name), postgres })
    await cluster.destroy()
  }
  rmSync(folder, { recursive: true, force: true })
  rmSync(wanted, { recursive: true, force: true })
  rmSync(`${wanted}.lock`, { force: true })
}

/** Removes the pair that single tests leave running, unless one uses it right now. */
export async function removeIdleSharedPair(): Promise<void> {
  const wanted = join(diskFolder, 'shared')
  if (!existsSync(wanted)) return
  await withFileLock(`${wanted}.lock`, async () => {
    const clusters = Object.values(clusterPair(wanted)) as Cluster[]
    const used = await Promise.all(clusters.map(isUsed))
    if (!used.includes(true)) await stopRunClusters(wanted)
  })
}

async function isUsed(cluster: Cluster): Promise<boolean> {
  if (cluster.status() !== 'running') return false
  const databases = await queryRows<{ pid: number }>(
    cluster.superuserUrl(),
    `select substring(datname from '^test_(\\d+)_')::int as pid from pg_database where datname ~ '^test_\\d+_'`,
  )
  return databases.some(({ pid }) => processIdentity(pid) !== undefined)
}

/** Removes what runs that were killed left behind: `run-PID` and `private-PID-...` of processes that are gone. */
export async function removeDeadRuns(): Promise<void> {
  mkdirSync(diskFolder, { recursive: true })
  for (const folder of new Set([diskFolder, clustersFolder()])) {
    for (const name of readdirSync(folder)) {
      const pid = Number(/^(?:run|private)-(\d+)(?:-\w+)?$/.exec(name)?.[1] ?? 0)
      if (pid > 0 && processIdentity(pid) === undefined) await stopRunClusters(join(folder, name))
    }
  }
}
