import type { GenerationVectors } from '../generation/model.ts'
import { describeFailure, refusedByDatabase, type Failure } from './failure.ts'
import { SourceClaims, type FoundFile, type KnownFile } from './file-plan.ts'
import { isGone } from './gone.ts'
import type { Primary } from './primary.ts'
import type { SourceRows } from './source-rows.ts'
import { writeSource, type SourceChange } from './write-source.ts'

export interface SourceCounts {
  added: number
  changed: number
  unchanged: number
  removed: number
  failed: number
}

export interface SegmentCounts {
  added: number
  removed: number
  updated: number
  unchanged: number
}

/** What a run did so far. */
export interface IngestTally {
  sources: SourceCounts
  segments: SegmentCounts
  failures: Failure[]
}

export interface IngestFilesOptions {
  primary: Primary
  pending: readonly FoundFile[]
  known: ReadonlyMap<string, KnownFile>
  /** Other tracks of the same videos. */
  passedOver: ReadonlySet<string>
  /** Reads and cuts one transcript; what is wrong with a bad one is in the result. */
  read: (file: FoundFile) => Promise<ReadSource>
  vectors: GenerationVectors | null
  dryRun: boolean
  signal: AbortSignal
  tally: IngestTally
  onFailure: (text: string) => void
  onWarning: (path: string, text: string) => void
  onProgress: (done: number, segmentsWritten: number) => void
}

/** A transcript, cut and counted; or why it cannot be taken. */
export interface ReadSource {
  rows?: SourceRows
  failure?: Failure
  /** What was repaired or left out. */
  warnings: readonly string[]
}

/** Files read ahead of the one that is written: enough to keep a reading thread at work. */
const readAhead = 3

/**
 * Takes in the pending files, a transaction each, while the next ones are being read. A bad file is counted
 * and passed over. Stops between two files when asked.
 *
 * @returns which file stands for which source now (on a dry run: would)
 */
export async function ingestFiles(options: IngestFilesOptions): Promise<SourceClaims> {
  const { pending, known, signal, tally } = options
  const claims = new SourceClaims(known.values(), pending, options.passedOver)
  const ahead: Promise<ReadSource>[] = []
  for (const [index, file] of pending.entries()) {
    signal.throwIfAborted()
    while (ahead.length <= readAhead && index + ahead.length < pending.length) {
      const reading = options.read(pending[index + ahead.length] ?? file)
      // Waited for in its turn; until then a failure of it must not end the process.
      reading.catch(() => undefined)
      ahead.push(reading)
    }
    const read = await ahead.shift()
    for (const warning of read?.warnings ?? []) options.onWarning(file.path, warning)
    if (read?.rows !== undefined) await storeOne(options, claims, file, read.rows)
    else if (read?.failure !== undefined) fail(options, read.failure)
    options.onProgress(index + 1, tally.segments.added + tally.segments.updated)
  }
  return claims
}

async function storeOne(
  options: IngestFilesOptions,
  claims: SourceClaims,
  file: FoundFile,
  rows: SourceRows,
): Promise<void> {
  const owner = claims.otherOwner(rows.id, file.path)
  // A file that was moved may come before its old place is forgotten.
  if (owner !== undefined && !(await isGone(owner))) {
    const reason = `it is the same source as ${owner}: both name the same address or id in their .info.json`
    return fail(options, { path: file.path, line: null, code: 'DUPLICATE_SOURCE', reason })
  }
  const former = options.known.get(file.path)
  const formerIsGone =
    former !== undefined &&
    former.source_id !== rows.id &&
    claims.otherOwner(former.source_id, file.path) === undefined
  try {
    const change = await writeSource({
      primary: options.primary,
      rows,
      file: {
        path: file.path,
        inputHash: file.inputHash,
        ...(formerIsGone ? { formerSourceId: former.source_id } : {}),
      },
      vectors: options.vectors,
      dryRun: options.dryRun,
    })
    claims.claim(rows.id, file.path)
    count(options.tally, change, formerIsGone ? former : undefined)
  } catch (error) {
    const failure = refusedByDatabase(error, file.path)
    if (failure === undefined) throw error
    fail(options, failure)
  }
}

function count(
  { sources, segments }: IngestTally,
  change: SourceChange,
  replaced: KnownFile | undefined,
): void {
  sources[change.source] += 1
  if (replaced !== undefined) {
    sources.removed += 1
    segments.removed += replaced.segments
  }
  segments.added += change.segments.added
  segments.updated += change.segments.updated
  segments.removed += change.segments.removed
  segments.unchanged += change.segments.unchanged
}

function fail({ tally, onFailure }: IngestFilesOptions, failure: Failure): void {
  tally.sources.failed += 1
  tally.failures.push(failure)
  onFailure(describeFailure(failure))
}
