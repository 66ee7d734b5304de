import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../../core/errors.ts'
import { parseLsn } from '../../core/lsn.ts'
import { sortSpoolNames, spoolFileName } from '../relay/spool/spool-folder.ts'
import { verifySpoolFile } from '../relay/spool/spool-reader.ts'

/** What a relay on this machine took from home and never brought to the cloud. */
export interface SpoolFacts {
  folder: string
  batches: number
  /** ISO time of the oldest commit in it */
  oldestCommitAt: string | null
}

/**
 * Looks into a relay's spool without changing it; null where there is none.
 * @param after how far the cloud is; what ends there or before is there
 * @throws HomeportError SPOOL_DAMAGED, SPOOL_UNREADABLE.
 */
export async function readSpoolFacts(
  folder: string,
  cloud: { slot: string; after: string },
): Promise<SpoolFacts | null> {
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
  let batches = 0
  let oldestCommitAt: string | null = null
  for (const sequence of sortSpoolNames(names).sequences) {
    const { description } = await verifySpoolFile(join(folder, spoolFileName(sequence)))
    if (description.slot !== cloud.slot || parseLsn(description.end) <= parseLsn(cloud.after)) continue
    batches += 1
    oldestCommitAt ??= description.oldestCommitAt
  }
  return { folder, batches, oldestCommitAt }
}
