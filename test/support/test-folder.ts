import { lstatSync, mkdirSync, readFileSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { shortHash } from '../../ops/local/data-folder.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))

/** On the disk, where what is left of a test can be looked at. */
export const diskFolder = join(repository, 'data/test')

/** What clusters, their logs and their databases may grow to in a run of everything. */
const neededBytes = 8 * 2 ** 30

/**
 * Where clusters lie that go with the run or the test they belong to: in memory where there is plenty, since making a
 * database takes a third of the time there, else on the disk.
 */
export function clustersFolder(): string {
  const folder = `/dev/shm/homeport-test-${process.getuid?.() ?? 0}-${shortHash(repository)}`
  return hasMemory() && isOurs(folder) ? folder : diskFolder
}

function hasMemory(): boolean {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm')
    const available =
      Number(/MemAvailable:\s+(\d+) kB/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) * 1024
    return bavail * bsize > neededBytes && available > 2 * neededBytes
  } catch {
    // There is none, as on macOS.
    return false
  }
}

/** Anybody may put something there under our name. */
function isOurs(folder: string): boolean {
  try {
    // The user that runs Postgres has to pass through.
    mkdirSync(folder, { recursive: true, mode: 0o711 })
    const found = lstatSync(folder)
    return found.isDirectory() && found.uid === (process.getuid?.() ?? 0)
  } catch {
    return false
  }
}
