import { chmod, mkdir, open, readdir, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { errorCode } from '../../../core/errors.ts'

const extension = '.spool'
const digits = 12

/** What a file is called until it is whole and durable. */
export const halfWritten = '.writing'

/** The name of a batch's file: names sort in the order of the log. */
export function spoolFileName(sequence: number): string {
  return `${String(sequence).padStart(digits, '0')}${extension}`
}

export interface SpoolListing {
  /** in order */
  sequences: readonly number[]
  /** files that a crash cut off: nothing of them was acknowledged */
  halves: readonly string[]
  /** names that nobody here gave */
  strangers: readonly string[]
}

/** Sorts the names in a spool folder by what they are. */
export function sortSpoolNames(names: readonly string[]): SpoolListing {
  const sequences: number[] = []
  const halves: string[] = []
  const strangers: string[] = []
  const pattern = new RegExp(`^\\d{${digits},15}\\${extension}(?<half>\\${halfWritten})?$`)
  for (const name of names) {
    const match = pattern.exec(name)
    if (match === null) strangers.push(name)
    else if (match.groups?.['half'] !== undefined) halves.push(name)
    else sequences.push(Number.parseInt(name, 10))
  }
  return { sequences: sequences.sort((a, b) => a - b), halves, strangers }
}

/** The folder, made when it is absent, durably, and closed to everyone else: batches hold rows. */
export async function prepareSpoolFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode: 0o700 })
  await chmod(folder, 0o700)
  if (made === undefined) return
  // A new folder is an entry in the one above it, and all that lies in it goes when that entry does.
  for (let above = dirname(resolve(folder)); ; above = dirname(above)) {
    await syncFolder(above)
    if (above === dirname(resolve(made)) || above === dirname(above)) return
  }
}

/**
 * Empties a spool without opening it, damaged or not: for a copy that begins anew. No relay may run meanwhile.
 * @returns how many batches were thrown away
 */
export async function clearSpool(folder: string): Promise<number> {
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 0
    throw error
  }
  const { sequences, halves } = sortSpoolNames(names)
  const files = [...halves, ...sequences.map(spoolFileName)]
  for (const name of files) await rm(join(folder, name), { force: true })
  await syncFolder(folder)
  return sequences.length
}

/** Makes what was renamed or removed in a folder outlast a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
