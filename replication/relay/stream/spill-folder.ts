import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

// Says which files belong to this process: a number of a process comes back, in a container always.
const run = randomUUID()
const suffix = '.spill'

/** Names of files for transactions that do not fit into memory. */
export interface SpillFolder {
  newPath(): string
}

/**
 * Creates the folder and removes what an earlier process left in it. Files of this process stay: a batch of a
 * stream that broke may still be on its way to the cloud.
 */
export async function openSpillFolder(folder: string): Promise<SpillFolder> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const stale = (await readdir(folder)).filter((name) => name.endsWith(suffix) && !name.startsWith(run))
  await Promise.all(stale.map((name) => rm(join(folder, name), { force: true })))
  return { newPath: () => join(folder, `${run}-${randomUUID()}${suffix}`) }
}
