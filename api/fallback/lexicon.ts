/** Document frequencies as two typed arrays: 8 bytes a term, where a Map takes 40. */
export class Lexicon {
  /** Ascending. */
  readonly terms: Int32Array
  readonly documents: Int32Array

  constructor(terms: Int32Array, documents: Int32Array) {
    this.terms = terms
    this.documents = documents
  }

  /** Documents that hold the term, or undefined when it is not listed. */
  get(term: number): number | undefined {
    const at = findTerm(this.terms, 0, this.terms.length, term)
    return at < 0 ? undefined : this.documents[at]
  }
}

/** Where a term stands between `from` and `to` of ascending terms, or -1. */
export function findTerm(terms: Int32Array, from: number, to: number, term: number): number {
  let low = from
  let high = to - 1
  while (low <= high) {
    const middle = (low + high) >>> 1
    const found = terms[middle]!
    if (found === term) return middle
    if (found < term) low = middle + 1
    else high = middle - 1
  }
  return -1
}
