import { readdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { formatBytes } from '../../../core/amounts.ts'
import { HomeportError } from '../../../core/errors.ts'
import type { Logger } from '../../../core/log.ts'
import { parseLsn } from '../../../core/lsn.ts'
import type { Batch } from '../batch.ts'
import { explainWriteError, spoolDamaged, spoolFull } from './spool-error.ts'
import { writeSpoolFile, type SpoolDescription } from './spool-file.ts'
import { clearSpool, prepareSpoolFolder, sortSpoolNames, spoolFileName, syncFolder } from './spool-folder.ts'
import { batchInFile, verifySpoolFile } from './spool-reader.ts'

export interface SpoolOptions {
  folder: string
  log: Logger
  /** the files together may have this many bytes; by default only the disk limits them */
  maxBytes?: number
  /** left free on the spool's disk, which is often the primary's too; default 2 GB, or 5 % of a small one */
  keepFreeBytes?: number
  /** stops the verification of a large spool */
  signal?: AbortSignal
}

export interface SpoolSpace {
  bytes: number
  /** what may still come, by the limit or by the disk, whichever is less */
  leftBytes: number
}

/**
 * Batches that wait on this machine's disk for a cloud that is not there, in the order of the log. What
 * {@link append} has taken survives `kill -9` and a power cut, so that it may be acknowledged to the slot.
 */
export interface Spool {
  readonly isEmpty: boolean
  readonly bytes: number
  readonly batches: number
  /** where the cloud must be for the oldest batch to fit; null when it is empty */
  readonly firstAfter: string | null
  /** the end of the newest batch: where the stream has to go on; null when it is empty */
  readonly endLsn: string | null
  /** whose changes these are; null when it is empty */
  readonly slot: string | null
  /**
   * Durable when it returns, file and folder; the caller still releases the batch. When it throws, nothing of the batch is there: nothing of it
   * may be acknowledged, and it may be appended again.
   *
   * @throws HomeportError RELAY_GAP when it does not begin where the last one ends; SPOOL_FULL;
   *   SPOOL_DISK_FULL; SPOOL_WRITE; BATCH_DAMAGED when its parts are not whole and in order.
   */
  append(batch: Batch): Promise<void>
  /** The oldest batch, every byte of it verified; null when it is empty. @throws HomeportError SPOOL_DAMAGED. */
  first(): Promise<Batch | null>
  /** Forgets the oldest: the cloud has it. Durable when it returns. */
  removeFirst(): Promise<void>
  clear(): Promise<void>
  space(): Promise<SpoolSpace>
  /** Waits for an append that is under way. */
  close(): Promise<void>
}

/**
 * Opens the spool in a folder. What a crash cut off before it could be acknowledged is removed; all else is
 * read from end to end, and must be an unbroken chain.
 *
 * @throws HomeportError SPOOL_DAMAGED, naming the file that is damaged or missing; SPOOL_UNREADABLE; SPOOL_WRITE.
 */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  const { folder, log, signal } = options
  let names: string[]
  try {
    await prepareSpoolFolder(folder)
    names = await readdir(folder)
  } catch (error) {
    throw explainWriteError(folder, error)
  }
  const { sequences, halves, strangers } = sortSpoolNames(names)
  for (const name of halves) await rm(join(folder, name), { force: true })
  if (halves.length > 0) log.info({ files: halves.length }, 'removed what a crash left half written')
  if (strangers.length > 0) log.warn({ files: strangers }, 'the spool folder holds files of somebody else')
  const entries: Entry[] = []
  for (const sequence of sequences) {
    const path = join(folder, spoolFileName(sequence))
    const found = await verifySpoolFile(path, signal)
    checkChain(folder, entries.at(-1), { sequence, path, ...found })
    entries.push({ path, ...found })
  }
  const spool = new FolderSpool(options, entries)
  if (!spool.isEmpty) {
    const { batches, firstAfter, endLsn } = spool
    log.info({ batches, size: formatBytes(spool.bytes), firstAfter, endLsn }, 'the spool holds changes')
  }
  return spool
}

interface Entry {
  path: string
  description: SpoolDescription
  bytes: number
}

function checkChain(folder: string, before: Entry | undefined, entry: Entry & { sequence: number }): void {
  const { sequence, path, description } = entry
  if (description.sequence !== sequence) {
    throw spoolDamaged(path, `was ${spoolFileName(description.sequence)} when it was written`)
  }
  if (before === undefined) return
  const wanted = before.description.sequence + 1
  if (sequence !== wanted) throw spoolDamaged(join(folder, spoolFileName(wanted)), 'is gone')
  if (description.after !== before.description.end || description.slot !== before.description.slot) {
    throw spoolDamaged(
      path,
      `begins at ${description.after} of ${description.slot}, not where the one before ends (${before.description.end})`,
    )
  }
}

class FolderSpool implements Spool {
  readonly #options: SpoolOptions
  readonly #entries: Entry[]
  #bytes: number
  #nextSequence: number
  #appending: Promise<void> = Promise.resolve()

  constructor(options: SpoolOptions, entries: Entry[]) {
    this.#options = options
    this.#entries = entries
    this.#bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0)
    this.#nextSequence = (entries.at(-1)?.description.sequence ?? 0) + 1
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0
  }

  get bytes(): number {
    return this.#bytes
  }

  get batches(): number {
    return this.#entries.length
  }

  get firstAfter(): string | null {
    return this.#entries[0]?.description.after ?? null
  }

  get endLsn(): string | null {
    return this.#entries.at(-1)?.description.end ?? null
  }

  get slot(): string | null {
    return this.#entries[0]?.description.slot ?? null
  }

  append(batch: Batch): Promise<void> {
    // One after the other: two at once would take the same name.
    const appended = this.#appending.then(() => this.#append(batch))
    this.#appending = appended.catch(() => undefined)
    return appended
  }

  async #append(batch: Batch): Promise<void> {
    this.#checkFits(batch)
    const { folder } = this.#options
    const sequence = this.#nextSequence
    const path = join(folder, spoolFileName(sequence))
    try {
      const written = await writeSpoolFile({ path, sequence, batch, reserve: (room) => this.#reserve(room) })
      this.#entries.push({ path, ...written })
      this.#bytes += written.bytes
      this.#nextSequence += 1
    } catch (error) {
      throw explainWriteError(folder, error)
    }
  }

  #checkFits(batch: Batch): void {
    const last = this.#entries.at(-1)?.description
    const fits =
      last === undefined || (batch.slot === last.slot && parseLsn(batch.after) === parseLsn(last.end))
    if (fits) return
    throw new HomeportError(
      'RELAY_GAP',
      `the batch ${batch.after} to ${batch.end} of ${batch.slot} does not follow the spool, which ends at ${last.end} of ${last.slot}`,
      {
        hint: 'run ops relay again: it asks the slot for what comes after the spool; if that stays, ops reseed',
      },
    )
  }

  async #reserve({ pieceBytes, fileBytes }: { pieceBytes: number; fileBytes: number }): Promise<void> {
    const { folder, maxBytes } = this.#options
    if (maxBytes !== undefined && this.#bytes + fileBytes > maxBytes) {
      throw spoolFull(folder, { bytes: maxBytes, what: 'spool' })
    }
    const { freeBytes, keepFreeBytes } = await this.#disk()
    if (freeBytes - pieceBytes < keepFreeBytes)
      throw spoolFull(folder, { bytes: keepFreeBytes, what: 'free' })
  }

  async #disk(): Promise<{ freeBytes: number; keepFreeBytes: number }> {
    const { bsize, bavail, blocks } = await statfs(this.#options.folder)
    return {
      freeBytes: bavail * bsize,
      keepFreeBytes: this.#options.keepFreeBytes ?? Math.min(2 * 1024 ** 3, (blocks * bsize) / 20),
    }
  }

  async first(): Promise<Batch | null> {
    const entry = this.#entries[0]
    if (entry === undefined) return null
    const { description } = await verifySpoolFile(entry.path)
    if (description.partsSha256 !== entry.description.partsSha256) {
      throw spoolDamaged(entry.path, 'is another one than was written')
    }
    return batchInFile(entry.path, description)
  }

  async removeFirst(): Promise<void> {
    const entry = this.#entries[0]
    if (entry === undefined) return
    await rm(entry.path, { force: true })
    // Should a later removal last and this one not, the chain would look broken.
    await syncFolder(this.#options.folder)
    this.#entries.shift()
    this.#bytes -= entry.bytes
  }

  async clear(): Promise<void> {
    await this.#appending
    await clearSpool(this.#options.folder)
    this.#entries.length = 0
    this.#bytes = 0
  }

  async space(): Promise<SpoolSpace> {
    const { freeBytes, keepFreeBytes } = await this.#disk()
    const byDisk = freeBytes - keepFreeBytes
    const byLimit = (this.#options.maxBytes ?? Infinity) - this.#bytes
    return { bytes: this.#bytes, leftBytes: Math.max(0, Math.min(byDisk, byLimit)) }
  }

  async close(): Promise<void> {
    await this.#appending
  }
}
