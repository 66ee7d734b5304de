import type { SegmentRow } from './source-rows.ts'

/** A stored segment without what its id already says. */
export interface StoredSegment {
  id: string
  ordinal: number
  turns: SegmentRow['turns']
  word_starts_ms: number[] | null
  engine: string
  confidence: number | null
  /** As Postgres prints the arrays; null when the row of segment_terms is missing. */
  terms: string | null
  counts: string | null
}

/** The difference between what is stored of a source and what it should be. */
export interface SegmentPlan {
  added: SegmentRow[]
  /** Only columns beside the identity differ. */
  updated: SegmentRow[]
  /** The words are counted differently: the row of segment_terms is replaced. */
  recounted: SegmentRow[]
  unchanged: number
  removed: string[]
}

/** Decides what to write so that `stored` becomes `wanted`, and nothing more. */
export function planSegments(stored: readonly StoredSegment[], wanted: readonly SegmentRow[]): SegmentPlan {
  const gone = new Map(stored.map((segment) => [segment.id, segment]))
  const plan: SegmentPlan = { added: [], updated: [], recounted: [], unchanged: 0, removed: [] }
  for (const segment of wanted) {
    const found = gone.get(segment.id)
    gone.delete(segment.id)
    if (found === undefined) {
      plan.added.push(segment)
      continue
    }
    const sameWords = sameTerms(found, segment)
    const same = sameRow(found, segment)
    if (!same) plan.updated.push(segment)
    if (!sameWords) plan.recounted.push(segment)
    if (same && sameWords) plan.unchanged += 1
  }
  plan.removed = [...gone.keys()]
  return plan
}

function sameRow(stored: StoredSegment, wanted: SegmentRow): boolean {
  return (
    stored.ordinal === wanted.ordinal &&
    stored.engine === wanted.engine &&
    sameReal(stored.confidence, wanted.confidence) &&
    String(stored.word_starts_ms) === String(wanted.wordStartsMs) &&
    printTurns(stored.turns) === printTurns(wanted.turns)
  )
}

/** The column holds single precision. */
function sameReal(stored: number | null, wanted: number | null): boolean {
  if (stored === null || wanted === null) return stored === wanted
  return Math.fround(stored) === Math.fround(wanted)
}

function printTurns(turns: SegmentRow['turns']): string {
  return JSON.stringify(turns.map((turn) => [turn.speaker, turn.offset, turn.startMs]))
}

function sameTerms(stored: StoredSegment, wanted: SegmentRow): boolean {
  return (
    stored.terms === `{${wanted.terms.terms.join(',')}}` &&
    stored.counts === `{${wanted.terms.counts.join(',')}}`
  )
}
