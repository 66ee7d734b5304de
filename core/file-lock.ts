import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { errorCode } from './errors.ts'
import { processIdentity } from './process-identity.ts'

export interface FileLock {
  release(): void
}

/** Somebody else's lock; the process is unknown while its owner is just about to write its id. */
export interface ForeignLock {
  heldBy: number | undefined
}

/**
 * Takes a lock file, or says which running process has it. One whose owner died is taken over. It serves
 * processes of one machine (and one process namespace) only.
 */
export function tryFileLock(file: string): FileLock | ForeignLock {
  const mine = `${process.pid} ${processIdentity(process.pid) ?? ''}\n`
  for (;;) {
    if (tryCreate(file, mine)) return { release: () => releaseOwn(file, mine) }
    const theirs = tryRead(file)
    if (theirs === undefined) continue
    if (ownerRuns(file, theirs)) return { heldBy: Number(theirs.split(' ')[0]) || undefined }
    takeAway(file, theirs)
  }
}

function releaseOwn(file: string, mine: string): void {
  if (tryRead(file) === mine) rmSync(file, { force: true })
}

function tryCreate(file: string, text: string): boolean {
  try {
    writeFileSync(file, text, { flag: 'wx', mode: 0o600 })
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
