import { inverseDocumentFrequency } from '../../core/bm25.ts'
import type { TermCountStore } from './term-counts.ts'

/** The terms a basis is fitted for. */
export interface Vocabulary {
  /** Ascending. */
  terms: Int32Array
  /** Inverse document frequency, in the order of `terms`. */
  idf: Float64Array
  /** Position in `terms`, or undefined for a term that is left out. */
  position: ReadonlyMap<number, number>
}

export interface VocabularyLimits {
  /** Most terms kept; the ones in most documents win. */
  maxTerms: number
}

/** Below this many documents, frequencies say too little to leave a term out. */
const smallCollection = 20

/**
 * Terms of two documents or more, but of no more than half (in a small collection: all), at most `maxTerms`.
 * A term of one document ties nothing to anything; one of most documents tells nothing, and leaving those out
 * measured the same for a third less work; in between, the more documents a term joins the more it shapes
 * the basis.
 */
export function chooseVocabulary(store: TermCountStore, limits: VocabularyLimits): Vocabulary {
  const frequency = new Map<number, number>()
  for (let document = 0; document < store.documents; document++) {
    store.forEachTerm(document, (term) => frequency.set(term, (frequency.get(term) ?? 0) + 1))
  }
  const small = store.documents < smallCollection
  const least = small ? 1 : 2
  const most = small ? store.documents : store.documents / 2
  const kept = [...frequency].filter(([, documents]) => documents >= least && documents <= most)
  // By frequency, then by the term itself: the same choice on every run.
  kept.sort((left, right) => right[1] - left[1] || left[0] - right[0])
  kept.length = Math.min(kept.length, limits.maxTerms)
  const terms = Int32Array.from(kept, ([term]) => term).sort()
  const idf = Float64Array.from(terms, (term) =>
    inverseDocumentFrequency(store.documents, frequency.get(term) ?? 1),
  )
  const position = new Map<number, number>()
  terms.forEach((term, at) => position.set(term, at))
  return { terms, idf, position }
}
