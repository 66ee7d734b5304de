/** A segment that words, vectors or both proposed, with both of its exact scores. */
export interface Candidate {
  segmentId: string
  /** BM25, 0 when no word of the query is in it. */
  words: number
  /** Cosine, -1 to 1; 0 when the segment or the query has no vector. */
  vector: number
}

export interface Weights {
  words: number
  vector: number
}

export type Fused<T extends Candidate> = T & { score: number }

/** Without a generation of vectors, words decide alone. */
export const wordsOnly: Weights = { words: 1, vector: 0 }

const depths = [50, 200, 600] as const

/**
 * How many candidates each half proposes. In steps, so that the pages of a usual search (the first 50
 * hits) are pages of one ranking.
 */
export function candidateDepth(request: { limit: number; offset: number }): number {
  const wanted = request.limit + request.offset
  return depths.find((depth) => depth >= wanted) ?? depths[2]
}

/**
 * Ranks the union of both halves' candidates by a convex combination of scores divided by their best
 * (Bruch et al. 2022, arXiv 2210.11934): `words * bm25/max + vector * max(0, cosine)/max`. Ties go to
 * the smaller id, so that the same candidates always come in the same order.
 * `sql/queries/search.sql` computes the same in the database.
 */
export function fuse<T extends Candidate>(candidates: readonly T[], weights: Weights): Fused<T>[] {
  let bestWords = 0
  let bestVector = 0
  for (const candidate of candidates) {
    bestWords = Math.max(bestWords, candidate.words)
    bestVector = Math.max(bestVector, candidate.vector)
  }
  const fused = candidates.map((candidate) => ({
    ...candidate,
    score:
      weights.words * share(candidate.words, bestWords) +
      weights.vector * share(candidate.vector, bestVector),
  }))
  return fused.sort((a, b) => b.score - a.score || compareIds(a.segmentId, b.segmentId))
}

function share(value: number, best: number): number {
  return best > 0 ? Math.max(0, value) / best : 0
}

/** Orders int8 ids held as text as the database orders them. */
export function compareIds(a: string, b: string): number {
  if (a === b) return 0
  return BigInt(a) < BigInt(b) ? -1 : 1
}
