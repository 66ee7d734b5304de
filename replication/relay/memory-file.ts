import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../../core/errors.ts'
import type { Memory } from './start-checks.ts'

/** What a relay remembers between two starts: which cloud it filled from which primary, and how far it was. */
export interface StoredMemory extends Memory {
  slot: string
  systemIdentifier: string
  timeline: number
}

const version = 2
const fileName = 'memory.json'

/** Replaces what is remembered. It may be a few seconds old after a crash: then fewer mistakes are noticed, none is made. */
export async function writeMemory(folder: string, memory: StoredMemory): Promise<void> {
  const file = join(folder, fileName)
  await writeFile(`${file}.writing`, `${JSON.stringify({ version, ...memory })}\n`, { mode: 0o600 })
  await rename(`${file}.writing`, file)
}

/** What is remembered; null when nothing is, or a crash cut it off. */
export async function readMemory(folder: string): Promise<StoredMemory | null> {
  let text: string
  try {
    text = await readFile(join(folder, fileName), 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
  try {
    const found = JSON.parse(text) as Partial<StoredMemory & { version: number }>
    return found.version === version ? (found as StoredMemory) : null
  } catch {
    return null
  }
}
