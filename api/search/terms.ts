import { inverseDocumentFrequency, unlistedDocuments } from '../../core/bm25.ts'
import { queryTerms } from '../../core/words.ts'

/** What ranking needs to know of the collection's words. */
export interface WordStatistics {
  documents: number
  averageLength: number
  /** Document frequency; a term that is not in it counts as one document. */
  lexicon: Pick<ReadonlyMap<number, number>, 'get'>
}

export interface WeighedTerm {
  term: number
  /** Times it occurs in the query, times its idf. */
  weight: number
  documentFrequency: number
}

/** Past this many, the commonest words of a long query are left out: they tell least and cost most. */
export const longestQueryTerms = 32

/** The distinct terms of a query with their BM25 weights, rarest first (ties by term). */
export function weighTerms(query: string, statistics: WordStatistics): WeighedTerm[] {
  const { terms, counts } = queryTerms(query)
  return terms
    .map((term, at) => {
      const documentFrequency = statistics.lexicon.get(term) ?? unlistedDocuments
      const idf = inverseDocumentFrequency(statistics.documents, documentFrequency)
      return { term, weight: (counts[at] ?? 0) * idf, documentFrequency }
    })
    .sort((a, b) => a.documentFrequency - b.documentFrequency || a.term - b.term)
    .slice(0, longestQueryTerms)
}

/** Which segments the database scores by words: those with any of `any`, and those with all of `all`. */
export interface TermPlan {
  any: number[]
  all: number[]
}

export interface TermPlanLimits {
  documents: number
  /** Segments the database may score for each half of the plan. */
  rows: number
  /** Candidates that are enough. */
  enough: number
}

type Term = Pick<WeighedTerm, 'term' | 'documentFrequency'>

/**
 * Chooses the segments to score, because ranking every segment with a common word is what makes full-text
 * search slow. Rare words propose on their own, rarest first, while their segments together stay under
 * the cap. Where that gives too few, the words left over propose together: as many of them as it takes
 * to come under the cap (taking words as independent), one fewer when that would leave too few. Every
 * term is scored either way, and the statement's own cap holds when the estimate is wrong.
 *
 * @param terms rarest first, as {@link weighTerms} gives them
 */
export function planTerms(terms: readonly Term[], limits: TermPlanLimits): TermPlan {
  let rows = 0
  let taken = 0
  for (const { documentFrequency } of terms) {
    if (rows + documentFrequency > limits.rows) break
    rows += documentFrequency
    taken++
  }
  const any = terms.slice(0, taken).map(({ term }) => term)
  return { any, all: rows >= limits.enough ? [] : intersection(terms.slice(taken), limits) }
}

function intersection(terms: readonly Term[], limits: TermPlanLimits): number[] {
  const all: number[] = []
  let expected = limits.documents
  for (const { term, documentFrequency } of terms) {
    const next = expected * Math.min(1, documentFrequency / Math.max(1, limits.documents))
    if (all.length > 0 && (expected <= limits.rows || next < limits.enough)) break
    all.push(term)
    expected = next
  }
  return all
}
