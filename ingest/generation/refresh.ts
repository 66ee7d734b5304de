import type { Primary } from '../store/primary.ts'
import { beginGeneration } from './build.ts'
import { decideGeneration, type GenerationDecision, type GenerationRow } from './decide.ts'
import { fillVectors } from './fill.ts'
import { loadGeneration, toWantedModel, type ChosenModel, type GenerationVectors } from './model.ts'
import { readCollection, refreshStatistics } from './statistics.ts'
import { abandonGeneration, activateGeneration, cleanRetired } from './switch.ts'

export interface RefreshOptions {
  primary: Primary
  chosen: ChosenModel
  force: boolean
  /** The active generation's vectors where the caller has loaded them already. */
  loaded: GenerationVectors | null
  signal: AbortSignal
  onProgress: (step: GenerationStep) => void
}

export interface GenerationStep {
  step: 'statistics' | 'fit' | 'vectors' | 'switch' | 'clean'
  done: number
  total: number
}

/** What a refresh did; part of the documented --json. */
export interface GenerationReport {
  action: GenerationDecision['action']
  model: { id: number; name: string; kind: string; dimensions: number } | null
  vectorsAdded: number
  /** Rows of the word statistics that were written; null when they were recent enough. */
  lexiconWritten: number | null
  seconds: number
}

/**
 * Brings word statistics and vectors up to date with the segments: counts words again when enough changed,
 * fits or loads the wanted model, gives every segment its vector, and switches to a new generation only
 * when it is complete. Picks up what a run before it left unfinished.
 */
export async function refreshGeneration(options: RefreshOptions): Promise<GenerationReport> {
  const { primary, chosen, signal, onProgress } = options
  const started = performance.now()
  const collection = await readCollection(primary)
  onProgress({ step: 'statistics', done: 0, total: 1 })
  const lexiconWritten = await refreshStatistics(primary, collection)
  signal.throwIfAborted()

  const generations = await readGenerations(primary)
  const decision = decideGeneration({
    wanted: toWantedModel(chosen),
    segments: collection.segments,
    publicSegments: collection.public_segments,
    generations,
    force: options.force,
  })
  for (const id of decision.abandon) await abandonGeneration(primary, id)
  const vectorsAdded = await carryOut(decision, options)
  const after = await readGenerations(primary)
  onProgress({ step: 'clean', done: 0, total: 1 })
  await cleanRetired(primary, after, signal)

  const active = after.find((row) => row.state === 'active')
  return {
    action: decision.action,
    model: active === undefined ? null : describeModel(active),
    vectorsAdded,
    lexiconWritten,
    seconds: (performance.now() - started) / 1000,
  }
}

export function readGenerations(primary: Primary): Promise<GenerationRow[]> {
  return primary.rows<GenerationRow>('ingest/generations')
}

export function describeModel({ id, name, kind, dimensions }: GenerationRow): GenerationReport['model'] {
  return { id, name, kind, dimensions }
}

async function carryOut(decision: GenerationDecision, options: RefreshOptions): Promise<number> {
  const { primary, chosen, signal, onProgress, loaded } = options
  const fill = (vectors: GenerationVectors): Promise<number> =>
    fillVectors({
      primary,
      vectors,
      signal,
      onProgress: (done, total) => onProgress({ step: 'vectors', done, total }),
    })
  switch (decision.action) {
    case 'none':
      return 0
    case 'keep':
      return decision.use === null ? 0 : fillKept(decision.use, options, fill)
    case 'finish':
    case 'build': {
      const vectors =
        decision.use === null
          ? await beginGeneration({
              primary,
              chosen,
              signal,
              onFit: (done, total) => onProgress({ step: 'fit', done, total }),
            })
          : await loadGeneration(primary, decision.use, chosen)
      const added = await fill(vectors)
      onProgress({ step: 'switch', done: 0, total: 1 })
      await activateGeneration(primary, vectors.modelId)
      return added
    }
  }

  async function fillKept(
    row: GenerationRow,
    from: RefreshOptions,
    work: (vectors: GenerationVectors) => Promise<number>,
  ): Promise<number> {
    // Loading a basis only to find that nothing is missing would be most of an idle run.
    const [counted] = await from.primary.rows<{ missing: number }>('ingest/count-missing', [row.id])
    if ((counted?.missing ?? 0) === 0) return 0
    return work(loaded?.modelId === row.id ? loaded : await loadGeneration(from.primary, row, from.chosen))
  }
}
