import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode, HomeportError } from '../../core/errors.ts'
import { processIdentity } from './processes.ts'

/**
 * Runs `work` while no other process runs its own under the same lock file. A lock whose owner died is
 * taken over.
 *
 * @throws HomeportError LOCK_TIMEOUT after `timeoutMs` (default two minutes), naming the owner.
 */
export async function withFileLock<T>(
  file: string,
  work: () => Promise<T>,
  options: { timeoutMs?: number } = {},
): Promise<T> {
  mkdirSync(dirname(file), { recursive: true })
  const mine = `${process.pid} ${processIdentity(process.pid) ?? ''}\n`
  const end = Date.now() + (options.timeoutMs ?? 120_000)
  while (!tryCreate(file, mine)) {
    const theirs = tryRead(file)
    if (theirs !== undefined && !ownerRuns(file, theirs)) takeAway(file, theirs)
    else if (Date.now() > end) {
      throw new HomeportError('LOCK_TIMEOUT', `process ${theirs?.split(' ')[0] ?? '?'} holds ${file}`)
    } else await sleep(20 + Math.random() * 30)
  }
  try {
    return await work()
  } finally {
    rmSync(file, { force: true })
  }
}

function tryCreate(file: string, text: string): boolean {
  try {
    writeFileSync(file, text, { flag: 'wx' })
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  }
}

function tryRead(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

const writeMs = 5_000

function ownerRuns(file: string, text: string): boolean {
  const [pid, ...identity] = text.trim().split(' ')
  // Created, not yet written: the owner is about to write, unless it died there or the disk was full.
  if (pid === undefined || pid === '') return isYoung(file)
  return processIdentity(Number(pid)) === identity.join(' ')
}

function isYoung(file: string): boolean {
  const modified = statSync(file, { throwIfNoEntry: false })?.mtimeMs
  return modified === undefined || Math.abs(Date.now() - modified) < writeMs
}

// Renaming picks one winner among several who saw the same dead owner. Should the file be another one by
// now, it goes back to where its owner expects it.
function takeAway(file: string, seen: string): void {
  const aside = `${file}.${process.pid}`
  try {
    renameSync(file, aside)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return
    throw error
  }
  if (tryRead(aside) === seen) rmSync(aside, { force: true })
  else renameSync(aside, file)
}
