import { confirmIngestLock } from '../store/lock.ts'
import type { Primary } from '../store/primary.ts'
import { changedShare, recountShare } from './decide.ts'

export interface CollectionState {
  segments: number
  public_segments: number
  /** Null before the first count. */
  counted_documents: number | null
  deleted_since_count: number | null
}

export async function readCollection(primary: Primary): Promise<CollectionState> {
  const [state] = await primary.rows<CollectionState>('ingest/collection-state')
  return state ?? { segments: 0, public_segments: 0, counted_documents: null, deleted_since_count: null }
}

/** Word statistics may lag behind the collection by a share too small to move a ranking. */
export function needsRecount(state: CollectionState): boolean {
  if (state.counted_documents === null) return state.public_segments > 0
  const share = changedShare({
    before: state.counted_documents,
    now: state.public_segments,
    deletedSince: state.deleted_since_count ?? 0,
  })
  return share >= recountShare
}

/**
 * Brings `lexicon` and `collection` up to date with the public segments, when enough of them changed.
 * @returns how many rows of the lexicon were written; null when it was not needed
 */
export async function refreshStatistics(primary: Primary, state: CollectionState): Promise<number | null> {
  if (!needsRecount(state)) return null
  return primary.transaction(async (statements) => {
    await confirmIngestLock(statements)
    const [counted] = await statements.rows<{ written: string }>('ingest/update-lexicon')
    await statements.change('ingest/update-collection')
    return Number(counted?.written ?? 0)
  })
}
