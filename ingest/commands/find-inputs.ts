import { realpath } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { errorCode } from '../../core/errors.ts'
import type { InputFiles } from '../identity.ts'
import { discoverTranscripts, type TranscriptInput } from '../readers/discover.ts'
import { failureOf, type Failure } from '../store/failure.ts'

export interface FoundInputs {
  files: InputFiles[]
  /** Real paths of what was given and exists. */
  roots: string[]
  /** What was given and does not exist: the name as given, and where it would really lie. */
  missing: { path: string; realPath: string }[]
  /** Real paths of other tracks of the same videos. */
  passedOver: Set<string>
  failures: Failure[]
  /** Files that look like transcripts and are none. */
  remarks: string[]
}

/** Finds the transcripts under the given paths. What cannot be read is in the result. */
export async function findInputs(paths: readonly string[]): Promise<FoundInputs> {
  const found: FoundInputs = {
    files: [],
    roots: [],
    missing: [],
    passedOver: new Set(),
    failures: [],
    remarks: [],
  }
  const existing: string[] = []
  for (const path of paths) {
    const real = await whereItLies(path)
    if (real.exists) {
      found.roots.push(real.path)
      existing.push(path)
    } else found.missing.push({ path, realPath: real.path })
  }
  const { inputs, problems, skipped } = await discoverTranscripts(existing)
  for (const problem of problems) {
    const failure = failureOf(problem, '')
    if (failure !== undefined) found.failures.push(failure)
  }
  for (const { path, reason } of skipped) found.remarks.push(`${path}: left out: ${reason}`)
  for (const input of inputs) {
    found.files.push(await toInputFiles(input))
    for (const { path } of input.skipped) found.passedOver.add(await realpath(path))
  }
  return found
}

export function missingFailure(path: string): Failure {
  return { path, line: null, code: 'FILE_UNREADABLE', reason: 'there is no such file or folder' }
}

async function toInputFiles(input: TranscriptInput): Promise<InputFiles> {
  const path = await realpath(input.transcriptPath)
  // The same for every track of a video; a link to a file of another name is that file.
  const linked = basename(path) !== basename(input.transcriptPath)
  const identityPath = linked ? path : join(dirname(path), basename(input.identityHint))
  return { path, metadataPath: input.infoPath, identityPath }
}

/** The real path of something; of what does not exist, below the real path of its nearest folder. */
async function whereItLies(path: string): Promise<{ path: string; exists: boolean }> {
  try {
    return { path: await realpath(path), exists: true }
  } catch (error) {
    const code = errorCode(error)
    // Something is there that cannot be looked at: the search names it.
    if (code !== 'ENOENT' && code !== 'ENOTDIR') return { path: resolve(path), exists: true }
    const parent = dirname(resolve(path))
    const above = await whereItLies(parent)
    return { path: join(above.path, basename(resolve(path))), exists: false }
  }
}
