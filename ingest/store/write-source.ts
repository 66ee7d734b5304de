import type { SourceMetadata } from '../transcript.ts'
import { confirmIngestLock } from './lock.ts'
import type { Binding, Primary, Statements } from './primary.ts'
import { planSegments, type SegmentPlan, type StoredSegment } from './source-plan.ts'
import {
  encodeEmbeddings,
  encodeSegments,
  encodeTerms,
  type EmbeddedSegment,
  type SegmentRow,
  type SourceRows,
} from './source-rows.ts'
import { storable, storableJson } from './storable.ts'

/** The file a source was read from, as `ingested_files` remembers it. */
export interface SourceFile {
  path: string
  inputHash: Buffer
  /** What the file held before, when its identity changed since: that source goes. */
  formerSourceId?: string
}

/** The generation whose vectors new segments get at once. */
export interface ActiveVectors {
  modelId: number
  embed(segments: readonly SegmentRow[]): Promise<Uint16Array[]>
}

export interface SourceChange {
  source: 'added' | 'changed' | 'unchanged'
  segments: { added: number; updated: number; removed: number; unchanged: number }
}

export interface WriteSourceOptions {
  primary: Primary
  rows: SourceRows
  file: SourceFile
  /** Null when no generation is active yet. */
  vectors: ActiveVectors | null
  dryRun: boolean
}

/**
 * Makes the database say of a source what `rows` says, in one transaction that writes exactly the
 * difference: rows that stay as they are are not touched, so that they send no WAL.
 */
export async function writeSource(options: WriteSourceOptions): Promise<SourceChange> {
  const { primary, rows, file, dryRun } = options
  // Read before the transaction: nobody else writes while this session holds the ingest lock.
  const known = await knownSource(primary, rows.id)
  const replaced = known !== undefined && known !== rows.metadata.visibility
  const stored = known === undefined ? [] : await storedSegments(primary, rows.id)
  // A row may not enter or leave the publication by UPDATE: its TOASTed columns would arrive empty.
  const plan = planSegments(replaced ? [] : stored, rows.segments)
  if (replaced) plan.removed = stored.map((segment) => segment.id)
  const vectors = await embedAdded(options, plan)
  const touched = known === undefined || replaced
  let sourceChanged = touched || changesSegments(plan)
  if (!dryRun) {
    await primary.transaction(async (statements) => {
      await confirmIngestLock(statements)
      if (file.formerSourceId !== undefined) await deleteSource(statements, file.formerSourceId)
      if (replaced) await deleteSource(statements, rows.id)
      if (touched) await statements.change('ingest/insert-source', sourceBindings(rows))
      else sourceChanged = await updateSource(statements, rows, changesSegments(plan))
      await applyPlan(statements, rows, replaced ? { ...plan, removed: [] } : plan, vectors)
      await statements.change('ingest/forget-other-paths', [rows.id, file.path])
      await statements.change('ingest/remember-file', [file.path, rows.id, file.inputHash])
    })
  }
  return {
    source: known === undefined ? 'added' : sourceChanged ? 'changed' : 'unchanged',
    segments: {
      added: plan.added.length,
      updated: new Set([...plan.updated, ...plan.recounted]).size,
      removed: plan.removed.length,
      unchanged: plan.unchanged,
    },
  }
}

/** Removes a source whose file is gone, with all that hangs on it. */
export async function removeSource(
  primary: Primary,
  file: { path: string; sourceId: string },
): Promise<void> {
  await primary.transaction(async (statements) => {
    await confirmIngestLock(statements)
    await deleteSource(statements, file.sourceId)
    await statements.change('ingest/forget-file', [file.path])
  })
}

async function knownSource(statements: Statements, id: string): Promise<string | undefined> {
  const [known] = await statements.rows<{ visibility: string }>('ingest/known-source', [id])
  return known?.visibility
}

function storedSegments(statements: Statements, sourceId: string): Promise<StoredSegment[]> {
  return statements.rows<StoredSegment>('ingest/known-segments', [sourceId])
}

async function deleteSource(statements: Statements, id: string): Promise<void> {
  await statements.change('ingest/delete-source', [id])
}

async function updateSource(
  statements: Statements,
  rows: SourceRows,
  segmentsChanged: boolean,
): Promise<boolean> {
  const written = await statements.change('ingest/update-source', [...sourceBindings(rows), segmentsChanged])
  return written > 0
}

function changesSegments(plan: SegmentPlan): boolean {
  return plan.added.length + plan.updated.length + plan.recounted.length + plan.removed.length > 0
}

async function embedAdded(
  { vectors, rows, dryRun }: WriteSourceOptions,
  plan: SegmentPlan,
): Promise<{ modelId: number; segments: EmbeddedSegment[] } | null> {
  if (vectors === null || dryRun || plan.added.length === 0) return null
  const embedded = await vectors.embed(plan.added)
  const segments = plan.added.map((segment, index) => ({
    id: segment.id,
    visibility: rows.metadata.visibility,
    embedding: embedded[index] ?? new Uint16Array(0),
  }))
  return { modelId: vectors.modelId, segments }
}

async function applyPlan(
  statements: Statements,
  { id, metadata }: SourceRows,
  plan: SegmentPlan,
  vectors: { modelId: number; segments: EmbeddedSegment[] } | null,
): Promise<void> {
  const { visibility } = metadata
  if (plan.removed.length > 0) await statements.change('ingest/delete-segments', [plan.removed])
  if (plan.updated.length > 0) {
    await statements.change('ingest/update-segments', [storableJson(plan.updated.map(updatedColumns))])
  }
  if (plan.recounted.length > 0) {
    await statements.change('ingest/delete-terms', [plan.recounted.map((segment) => segment.id)])
  }
  await statements.copyIn('ingest/copy-segments', encodeSegments(id, visibility, plan.added))
  await statements.copyIn('ingest/copy-terms', encodeTerms(visibility, [...plan.added, ...plan.recounted]))
  if (vectors !== null) {
    await statements.copyIn('ingest/copy-embeddings', encodeEmbeddings(vectors.modelId, vectors.segments))
  }
}

function updatedColumns(segment: SegmentRow): Record<string, unknown> {
  return {
    id: segment.id,
    ordinal: segment.ordinal,
    turns: segment.turns,
    word_starts_ms: segment.wordStartsMs,
    engine: segment.engine,
    confidence: segment.confidence,
  }
}

function sourceBindings({ id, metadata, method }: SourceRows): Binding[] {
  const text = (value: string | null): string | null => (value === null ? null : storable(value))
  return [
    metadata.kind,
    text(metadata.url),
    storable(metadata.title),
    text(metadata.channel),
    text(metadata.language),
    metadata.durationMs,
    metadata.publishedAt,
    metadata.views,
    metadata.visibility satisfies SourceMetadata['visibility'],
    method,
    id,
  ]
}
