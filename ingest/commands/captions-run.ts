import type { Output } from '../../core/cli.ts'
import { HomeportError } from '../../core/errors.ts'
import { decideGeneration } from '../generation/decide.ts'
import {
  loadGeneration,
  toWantedModel,
  type ChosenModel,
  type GenerationVectors,
} from '../generation/model.ts'
import { readGenerations, refreshGeneration, type GenerationReport } from '../generation/refresh.ts'
import { readCollection } from '../generation/statistics.ts'
import { hashInput } from '../identity.ts'
import { Progress } from '../progress.ts'
import { describeFailure, printable, unreadable, type Failure } from '../store/failure.ts'
import {
  liesUnder,
  planFiles,
  type FoundFile,
  type KnownFile,
  type SourceClaims,
} from '../store/file-plan.ts'
import {
  ingestFiles,
  type IngestTally,
  type SegmentCounts,
  type SourceCounts,
} from '../store/ingest-files.ts'
import { takeIngestLock } from '../store/lock.ts'
import { refuseWhenPaused } from '../store/pause.ts'
import { openPrimary, type Primary } from '../store/primary.ts'
import { pruneSources } from '../store/prune.ts'
import { chooseModel } from './choose-model.ts'
import { explainDatabaseError } from './database-error.ts'
import { findInputs, missingFailure, type FoundInputs } from './find-inputs.ts'
import { createSourceReader } from './source-reader.ts'

export interface CaptionsRun {
  paths: readonly string[]
  connectionString: string
  prune: boolean
  yes: boolean
  dryRun: boolean
  /** Go on while a relay asks ingest to wait. */
  ignorePause?: boolean
  signal: AbortSignal
  out: Output
  isTerminal: boolean
}

/** The documented --json of `ingest captions`. */
export interface CaptionsReport {
  ok: boolean
  dryRun: boolean
  files: number
  sources: SourceCounts
  segments: SegmentCounts
  /** Null on a dry run. */
  generation: GenerationReport | null
  failures: readonly Failure[]
  seconds: number
}

/**
 * Takes in transcripts and brings the vectors up to date. Bad files are in the report; what stops the whole
 * run is thrown.
 *
 * @throws HomeportError NOTHING_TO_INGEST (exit 2) when no path exists; those of the database, the lock, the
 *   model, a relay's request to wait (INGEST_PAUSED) and an interruption.
 */
export async function runCaptions(given: CaptionsRun): Promise<CaptionsReport> {
  const started = performance.now()
  const run = { ...given, out: { ...given.out, note: (text: string) => given.out.note(printable(text)) } }
  const tally: IngestTally = {
    sources: { added: 0, changed: 0, unchanged: 0, removed: 0, failed: 0 },
    segments: { added: 0, removed: 0, updated: 0, unchanged: 0 },
    failures: [],
  }
  const inputs = await findInputs(run.paths)
  for (const failure of inputs.failures) noteFailure(run, tally, failure)
  for (const remark of inputs.remarks) run.out.note(remark)
  const report = (generation: GenerationReport | null): CaptionsReport => ({
    ok: tally.failures.length === 0,
    dryRun: run.dryRun,
    files: inputs.files.length,
    ...tally,
    generation,
    seconds: Number(((performance.now() - started) / 1000).toFixed(3)),
  })
  if (inputs.roots.length === 0 && !run.prune) throw nothingThere(run.paths)

  const primary = await openPrimary(run.connectionString, { ignoresPause: run.ignorePause === true })
  try {
    if (!run.dryRun) {
      await takeIngestLock(primary)
      await refuseWhenPaused(primary)
    }
    return report(await work(run, primary, inputs, tally))
  } catch (error) {
    throw explainDatabaseError(error, run.connectionString)
  } finally {
    await primary.close()
  }
}

async function work(
  run: CaptionsRun,
  primary: Primary,
  inputs: FoundInputs,
  tally: IngestTally,
): Promise<GenerationReport | null> {
  const progress = new Progress(run)
  const known = new Map((await readKnownFiles(primary)).map((file) => [file.path, file]))
  judgeMissing(run, inputs, tally, [...known.keys()])
  const found = await hashFiles(run, inputs, tally, progress)
  const { pending, unchanged } = planFiles(found, known)
  tally.sources.unchanged += unchanged.length
  for (const file of unchanged) tally.segments.unchanged += file.segments

  const chosen = await chooseModel()
  const reader = createSourceReader(pending.length)
  try {
    const vectors = pending.length === 0 ? null : await activeVectors(primary, chosen)
    const claims = await ingestFiles({
      primary,
      pending,
      known,
      passedOver: inputs.passedOver,
      read: (file) => reader.read(file),
      vectors,
      dryRun: run.dryRun,
      signal: run.signal,
      tally,
      onFailure: (text) => run.out.note(text),
      onWarning: warningNote(run),
      onProgress: (done, count) =>
        progress.show({
          label: 'captions',
          done,
          total: pending.length,
          produced: { count, unit: 'segments' },
        }),
    })
    await prune(run, primary, inputs, tally, claims)
    if (run.dryRun) return null
    return await refreshGeneration({
      primary,
      chosen,
      force: false,
      loaded: vectors,
      signal: run.signal,
      onProgress: ({ step, done, total }) => progress.show({ label: step, done, total }),
    })
  } finally {
    await reader.close()
    if (chosen.kind === 'onnx') await chosen.embedder.close()
  }
}

/** Warnings are shown up to a number a person would read; a whole channel can have thousands. */
const shownWarnings = 20

function warningNote({ out }: CaptionsRun): (path: string, text: string) => void {
  let count = 0
  return (path, text) => {
    count += 1
    if (count <= shownWarnings) out.note(`${path}: ${text}`)
    else if (count === shownWarnings + 1) out.note('more warnings follow; they are not shown')
  }
}

/** A path that leads nowhere is what --prune is about when something is known below it; else a mistake. */
function judgeMissing(
  run: CaptionsRun,
  inputs: FoundInputs,
  tally: IngestTally,
  known: readonly string[],
): void {
  for (const { path, realPath } of inputs.missing) {
    if (run.prune && known.some((file) => liesUnder(file, [realPath]))) inputs.roots.push(realPath)
    else noteFailure(run, tally, missingFailure(path), 0)
  }
}

function nothingThere(paths: readonly string[]): HomeportError {
  return new HomeportError('NOTHING_TO_INGEST', `there is nothing at ${paths.join(', ')}`, {
    hint: 'name the files or folders with the transcripts',
    exitCode: 2,
  })
}

function readKnownFiles(primary: Primary): Promise<KnownFile[]> {
  return primary.rows<KnownFile>('ingest/known-files')
}

async function hashFiles(
  run: CaptionsRun,
  { files }: FoundInputs,
  tally: IngestTally,
  progress: Progress,
): Promise<FoundFile[]> {
  const found: FoundFile[] = []
  for (const [index, file] of files.entries()) {
    run.signal.throwIfAborted()
    try {
      found.push({ ...file, inputHash: await hashInput(file) })
    } catch (error) {
      noteFailure(run, tally, unreadable(error, file.path))
    }
    progress.show({ label: 'comparing', done: index + 1, total: files.length })
  }
  return found
}

/** New segments get vectors at once only when the active generation is of the model that is configured. */
async function activeVectors(primary: Primary, chosen: ChosenModel): Promise<GenerationVectors | null> {
  const generations = await readGenerations(primary)
  const active = generations.find((row) => row.state === 'active')
  if (active === undefined) return null
  const { segments, public_segments: publicSegments } = await readCollection(primary)
  const wanted = toWantedModel(chosen)
  const { action } = decideGeneration({ wanted, segments, publicSegments, generations, force: false })
  return action === 'keep' ? loadGeneration(primary, active, chosen) : null
}

async function prune(
  run: CaptionsRun,
  primary: Primary,
  { roots }: FoundInputs,
  tally: IngestTally,
  claims: SourceClaims,
): Promise<void> {
  if (!run.prune) return
  try {
    // Read again: a file that was moved is known by its new path now, and on a dry run would be.
    const stored = await readKnownFiles(primary)
    const known = stored.filter((file) => claims.otherOwner(file.source_id, file.path) === undefined)
    const removed = await pruneSources({ ...run, primary, known, roots })
    tally.sources.removed += removed.length
    for (const file of removed) tally.segments.removed += file.segments
  } catch (error) {
    if (!(error instanceof HomeportError) || error.code !== 'PRUNE_REFUSED') throw error
    const reason = `${error.message}; ${error.hint ?? ''}`
    noteFailure(run, tally, { path: run.paths.join(' '), line: null, code: error.code, reason }, 0)
  }
}

function noteFailure({ out }: CaptionsRun, tally: IngestTally, failure: Failure, sources = 1): void {
  tally.sources.failed += sources
  tally.failures.push(failure)
  out.note(describeFailure(failure))
}
