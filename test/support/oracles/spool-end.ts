import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../../../core/errors.ts'
import { sortSpoolNames, spoolFileName } from '../../../replication/relay/spool/spool-folder.ts'
import { verifySpoolFile } from '../../../replication/relay/spool/spool-reader.ts'

/** Where the last whole file of a spool ends; null when there is none. For the slot oracle. */
export async function readSpoolEnd(folder: string): Promise<string | null> {
  const names = await readdir(folder).catch(() => [])
  const last = sortSpoolNames(names).sequences.at(-1)
  if (last === undefined) return null
  try {
    return (await verifySpoolFile(join(folder, spoolFileName(last)))).description.end
  } catch (error) {
    // It was emptied meanwhile: the cloud has it.
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}
