import { longSentence, type Piece } from './pieces.ts'

export interface ChunkLimits {
  targetWords: number
  maxWords: number
  minWords: number
  maxMs: number
  /** The most words a segment repeats of the one before, but for a single longer sentence; 0 for none. */
  overlapWords: number
}

/** A segment as a range of pieces, and how many of the pieces before it are repeated in it. */
export interface PlannedSegment {
  from: number
  to: number
  overlap: number
}

/**
 * Divides the pieces of one section into segments: never past the limits, and among all divisions that
 * keep them the one of least cost (size away from the target, places where breaking hurts), found by
 * dynamic programming. Costs add up, so a change of the text moves the borders near it only.
 */
export function planSegments(pieces: readonly Piece[], limits: ChunkLimits): PlannedSegment[] {
  const costs = new Float64Array(pieces.length + 1).fill(Number.POSITIVE_INFINITY)
  const previous = new Int32Array(pieces.length + 1)
  const overlaps = new Int32Array(pieces.length + 1)
  costs[0] = 0
  for (let to = 1; to <= pieces.length; to += 1) {
    const breakCost = to < pieces.length ? (pieces[to]?.breakCost ?? 0) : 0
    let weight = 0
    let startMs = Number.POSITIVE_INFINITY
    let endMs = Number.NEGATIVE_INFINITY
    for (let from = to - 1; from >= 0; from -= 1) {
      const piece = pieces[from]
      if (piece === undefined) break
      weight += piece.weight
      startMs = Math.min(startMs, piece.startMs)
      endMs = Math.max(endMs, piece.endMs)
      // A single piece always stands: it was cut as short as it can be.
      if (from < to - 1 && (weight > limits.maxWords || endMs - startMs > limits.maxMs)) break
      // One or two pieces before it are repeated, as far as the limits allow.
      let overlap = 0
      let overlapWeight = 0
      for (let back = 1; back <= 2 && back <= from; back += 1) {
        const repeated = pieces[from - back]
        if (repeated === undefined) break
        const repeatedWeight = overlapWeight + repeated.weight
        const spanMs = Math.max(endMs, repeated.endMs) - Math.min(startMs, repeated.startMs)
        // A piece may be a little longer than the last words to repeat: half a sentence is worse than none.
        const most = back === 1 && limits.overlapWords > 0 ? longSentence : limits.overlapWords
        if (repeatedWeight > most || weight + repeatedWeight > limits.maxWords) break
        if (spanMs > limits.maxMs) break
        overlap = back
        overlapWeight = repeatedWeight
      }
      const alone = from > 0 && overlap === 0 && limits.overlapWords > 0 ? aloneCost : 0
      const cost = (costs[from] ?? 0) + breakCost + alone + sizeCost(weight + overlapWeight, weight, limits)
      if (cost < (costs[to] ?? 0)) {
        costs[to] = cost
        previous[to] = from
        overlaps[to] = overlap
      }
    }
  }
  const planned: PlannedSegment[] = []
  for (let to = pieces.length; to > 0; to = previous[to] ?? 0) {
    planned.push({ from: previous[to] ?? 0, to, overlap: overlaps[to] ?? 0 })
  }
  planned.reverse()
  // Only from the segment before, and never all of it.
  return planned.map((each, index) => {
    const before = planned[index - 1]
    const most = before === undefined ? 0 : before.to - before.from - 1
    return { ...each, overlap: Math.min(each.overlap, most) }
  })
}

/** Of a segment that repeats nothing of the one before: about that of 60 words too many. */
const aloneCost = 0.2

function sizeCost(weight: number, ownWeight: number, limits: ChunkLimits): number {
  const off = (weight - limits.targetWords) / limits.targetWords
  return 2.5 * off * off + (ownWeight < limits.minWords ? 4 : 0)
}
