import type { ModelGeneration } from '../../core/embed/embedder.ts'
import type { Check } from './collection.ts'

export function sameCheck(a: Check, b: Check): boolean {
  return a.count === b.count && a.sum === b.sum
}

/** Whether vectors of one can be compared with queries of the other. */
export function sameGeneration(a: ModelGeneration | null, b: ModelGeneration | null): boolean {
  if (a === null || b === null) return a === b
  return a.id === b.id && a.fingerprint === b.fingerprint && a.dimensions === b.dimensions
}

/**
 * The ids whose rows have to be read again: new ones, those with another number, and those that are not
 * where they were.
 *
 * @param held what memory has above a bound
 * @param found what the cloud has above the same bound
 */
export function touchedIds(
  held: Iterable<readonly [id: string, changeSeq: number]>,
  found: Iterable<readonly [id: string, changeSeq: number]>,
): Set<string> {
  const left = new Map(held)
  const touched = new Set<string>()
  for (const [id, changeSeq] of found) {
    if (left.get(id) !== changeSeq) touched.add(id)
    left.delete(id)
  }
  for (const id of left.keys()) touched.add(id)
  return touched
}

/** Past this, reading everything anew costs less than following. */
export function isReload(touched: number, segments: number): boolean {
  return touched > Math.max(5_000, segments / 4)
}

/** Whether the tail, which is looked at row by row, or the dead rows have grown past a tenth. */
export function isCompactionDue(rows: { base: number; tail: number; dead: number }): boolean {
  const limit = Math.max(500, rows.base / 10)
  return rows.tail > limit || rows.dead > limit
}

export interface SaveFacts {
  segments: number
  /** Whether anything that would be answered changed since the last save. */
  changed: boolean
  everSaved: boolean
  sinceSaveMs: number
}

const betweenSavesMs = 60_000

/** Nothing is never saved: it would take the place of something. */
export function isSaveDue(facts: SaveFacts): boolean {
  if (facts.segments === 0 || !facts.changed) return false
  return !facts.everSaved || facts.sinceSaveMs >= betweenSavesMs
}
