import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../../ops/local/cluster.ts'

/** Stops a cluster, copies its data as a backup would, and starts it again. */
export async function copyCluster(cluster: Cluster): Promise<void> {
  await cluster.stop()
  const backup = join(cluster.folder, 'backup')
  rmSync(backup, { recursive: true, force: true })
  execFileSync('cp', ['-a', join(cluster.folder, 'data'), backup])
  await cluster.start()
}

/** Puts the copy back in place of what is there now: the server is as old as the copy. */
export async function restoreCluster(cluster: Cluster): Promise<void> {
  await cluster.stop()
  const data = join(cluster.folder, 'data')
  rmSync(data, { recursive: true, force: true })
  execFileSync('cp', ['-a', join(cluster.folder, 'backup'), data])
  await cluster.start()
}
