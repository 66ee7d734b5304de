import {
  readBasis,
  readAllSegments,
  readChanged,
  readLexicon,
  readSegments,
  readSources,
} from './cloud-rows.ts'
import type { CloudSnapshot } from './cloud-snapshot.ts'
import { allOfIt, readCloudState, type CloudState, type Marks } from './cloud-state.ts'
import { Collection, type SegmentRecord, type Sources, type Statistics } from './collection.ts'
import type { Pause } from './pause.ts'
import { isReload, sameCheck, sameGeneration, touchedIds } from './refresh-plan.ts'
import type { Watermark } from './watermark.ts'

/** Segments whose words are asked for again in one refresh. */
const wordlessAtOnce = 500

/**
 * Reads all that is public in the cloud at one moment.
 *
 * @param known its basis is used again when the generation is still the same
 */
export async function loadCollection(
  snapshot: CloudSnapshot,
  known: Pick<Collection, 'generation' | 'basis'> | null,
  pause: Pause,
): Promise<{ collection: Collection; newest: Marks }> {
  const now = new Date()
  const state = await readCloudState(snapshot, allOfIt)
  const { model } = state
  const knownBasis = known !== null && sameGeneration(known.generation, model) ? known.basis : null
  const loading = new Collection({
    generation: model,
    basis: knownBasis ?? (model?.kind === 'lsa' ? await readBasis(snapshot, model) : null),
    sources: await readSources(snapshot),
    statistics: { ...state.statistics, lexicon: await readLexicon(snapshot) },
    asOf: state.beatAt ?? now,
  })
  for await (const page of readAllSegments(snapshot, model?.id ?? null)) {
    for (const record of page) loading.put(record)
  }
  return { collection: await loading.compact(pause), newest: state.newest }
}

export type Followed =
  { kind: 'unchanged' } | { kind: 'changed'; segments: number } | { kind: 'reload'; reason: string }

/**
 * Brings a collection to the moment of the snapshot, or says that it must be loaded anew. Everything is read
 * first and applied in one go, so that no search sees half of it.
 *
 * @param sweep compare everything, not only what lies above the watermark
 */
export async function followCloud(
  snapshot: CloudSnapshot,
  collection: Collection,
  watermark: Watermark,
  sweep: boolean,
): Promise<Followed> {
  const now = new Date()
  const window = watermark.low()
  const low = sweep ? { ...allOfIt, tombstones: window.tombstones } : window
  const state = await readCloudState(snapshot, low)
  if (!sameGeneration(collection.generation, state.model)) {
    return { kind: 'reload', reason: 'another generation of vectors is active' }
  }
  const buried = sameCheck(state.tombstones, watermark.checkTombstones(low.tombstones))
    ? undefined
    : await readChanged(snapshot, { table: 'tombstones', low: low.tombstones })
  const touched = await findTouched(snapshot, collection, state, low)
  for (const [id] of buried ?? []) if (collection.has(id)) touched.add(id)
  if (isReload(touched.size, collection.size)) {
    return { kind: 'reload', reason: `${touched.size} segments differ` }
  }
  const changes: Changes = {
    statistics: await readStatistics(snapshot, collection, state),
    sources: sameCheck(state.sources, sourcesCheck(collection)) ? undefined : await readSources(snapshot),
    gone: [],
    found: [],
  }
  for await (const { asked, found } of readSegments(snapshot, [...touched], state.model?.id ?? null)) {
    const there = new Set(found.map((record) => record.id))
    changes.gone.push(...asked.filter((id) => !there.has(id)))
    changes.found.push(...found)
  }

  const before = collection.version
  apply(collection, changes)
  collection.generation = state.model
  collection.asOf = state.beatAt ?? now
  watermark.observe(state.newest, now.getTime())
  if (buried !== undefined) watermark.buried(buried.map(([, changeSeq]) => changeSeq))
  return collection.version === before ? { kind: 'unchanged' } : { kind: 'changed', segments: touched.size }
}

interface Changes {
  statistics: Statistics | undefined
  sources: Sources | undefined
  gone: string[]
  found: SegmentRecord[]
}

function apply(collection: Collection, changes: Changes): void {
  if (changes.statistics !== undefined) collection.statistics = changes.statistics
  if (changes.sources !== undefined) collection.sources = changes.sources
  if (changes.statistics !== undefined || changes.sources !== undefined) collection.version++
  for (const id of changes.gone) collection.remove(id)
  for (const record of changes.found) collection.put(record)
}

async function findTouched(
  snapshot: CloudSnapshot,
  collection: Collection,
  state: CloudState,
  low: Marks,
): Promise<Set<string>> {
  // Words carry no number of their own: where they came after their segment, they are asked for.
  const touched = new Set([...collection.wordless].slice(0, wordlessAtOnce))
  if (!sameCheck(state.segments, collection.check(low.segments, 'segments'))) {
    const found = await readChanged(snapshot, { table: 'segments', low: low.segments })
    for (const id of touchedIds(collection.changedAfter(low.segments, 'segments'), found)) touched.add(id)
  }
  if (state.model !== null && !sameCheck(state.embeddings, collection.check(low.embeddings, 'embeddings'))) {
    const found = await readChanged(snapshot, {
      table: 'embeddings',
      low: low.embeddings,
      modelId: state.model.id,
    })
    for (const id of touchedIds(collection.changedAfter(low.embeddings, 'embeddings'), found)) touched.add(id)
  }
  return touched
}

async function readStatistics(
  snapshot: CloudSnapshot,
  { statistics }: Collection,
  state: CloudState,
): Promise<Statistics | undefined> {
  const same =
    statistics.documents === state.statistics.documents &&
    statistics.averageLength === state.statistics.averageLength &&
    statistics.countedAtMs === state.statistics.countedAtMs
  return same ? undefined : { ...state.statistics, lexicon: await readLexicon(snapshot) }
}

function sourcesCheck({ sources }: Collection) {
  return { count: sources.byId.size, sum: sources.sum }
}
