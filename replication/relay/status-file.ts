import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { errorCode } from '../../core/errors.ts'
import { processIdentity } from '../../core/process-identity.ts'

/**
 * `starting`: checks; `seeding`: the initial copy; `following`: the cloud gets what the slot sends; `draining`: it
 * gets what the spool holds; `spooling`: it cannot be reached, and changes go to the spool; `unreachable`: it, or
 * the primary, cannot be reached, and the slot holds the changes; `stopped`: see `lastError`.
 */
export const relayStates = [
  'starting',
  'seeding',
  'following',
  'draining',
  'spooling',
  'unreachable',
  'stopped',
] as const

export type RelayState = (typeof relayStates)[number]

/** What a relay says of itself: in its status file, and at /health. Null is unknown. */
export interface RelayStatus {
  state: RelayState
  /** ISO time since when it is in this state */
  since: string
  startedAt: string
  transport: 'direct' | 'gateway' | null
  lag: {
    /** age of the oldest change that the cloud does not have, by the primary's clock; 0 when it has them all */
    seconds: number | null
    bytes: number | null
  }
  slot: {
    name: string
    /** log that the primary keeps because of it */
    retainedBytes: number | null
    /** of what it may keep; 1 is all */
    usedShare: number | null
    /** at the rate of the last minutes; null when it does not grow */
    secondsToCut: number | null
  } | null
  spool: { batches: number; bytes: number; firstAfter: string | null; endLsn: string | null }
  /** the relay asks ingest to wait */
  isIngestPaused: boolean
  /** rows since the start */
  rows: number
  /** the last thing that went wrong, also when it is over by now */
  lastError: { code: string; message: string; hint: string | null; at: string } | null
}

/** The status together with whose it is. */
export interface RelayStatusFile extends RelayStatus {
  pid: number
  host: string
  writtenAt: string
  /** whether the process that wrote it still runs; false for one of another machine */
  isRunning: boolean
}

const version = 1
const fileName = 'status.json'

/**
 * Replaces the status file in the relay's state folder: a reader sees the old one or the new one, whole. It
 * is not made durable: after a power cut nobody runs. Rejects where the disk is full; the relay can go on.
 */
export async function writeStatus(folder: string, status: RelayStatus): Promise<void> {
  const file = join(folder, fileName)
  const aside = `${file}.writing`
  const owner = {
    pid: process.pid,
    identity: processIdentity(process.pid) ?? null,
    host: hostname(),
    writtenAt: new Date().toISOString(),
  }
  try {
    await writeFile(aside, `${JSON.stringify({ version, ...owner, ...status }, null, 2)}\n`, { mode: 0o600 })
    await rename(aside, file)
  } catch (error) {
    await rm(aside, { force: true })
    throw error
  }
}

/** What the relay last said of itself; null when no relay of this version ever ran here, or it cannot be read. */
export async function readStatus(folder: string): Promise<RelayStatusFile | null> {
  let text: string
  try {
    text = await readFile(join(folder, fileName), 'utf8')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errorCode(error) ?? '')) return null
    throw error
  }
  const found = parse(text)
  if (found === null) return null
  const { identity, ...status } = found
  const isRunning =
    status.host === hostname() && identity !== null && processIdentity(status.pid) === identity
  return { ...status, isRunning }
}

type Stored = Omit<RelayStatusFile, 'isRunning'> & { identity: string | null }

function parse(text: string): Stored | null {
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch {
    // A disk that lost the end of it; the next write is due in a moment.
    return null
  }
  if (typeof found !== 'object' || found === null) return null
  const { version: theirs, ...stored } = found as Partial<Stored> & { version?: unknown }
  const isWhole =
    theirs === version &&
    typeof stored.state === 'string' &&
    typeof stored.pid === 'number' &&
    typeof stored.host === 'string' &&
    typeof stored.spool === 'object' &&
    typeof stored.lag === 'object'
  return isWhole ? (stored as Stored) : null
}
