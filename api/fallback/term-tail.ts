import { termWeight } from '../../core/bm25.ts'
import { Column } from './column.ts'
import { findTerm } from './lexicon.ts'

/** The words of the rows that came after the postings were built, row by row. */
export class TermTail {
  /** The number of the first row in the tail. */
  readonly firstRow: number
  /** Row by row, ascending within a row. */
  readonly terms = new Column((length) => new Int32Array(length))
  readonly counts = new Column((length) => new Uint16Array(length))
  /** Where each row's terms end. */
  readonly ends = new Column((length) => new Uint32Array(length))

  constructor(firstRow: number) {
    this.firstRow = firstRow
  }

  get rows(): number {
    return this.ends.length
  }

  /** @param terms ascending */
  push(terms: ArrayLike<number>, counts: ArrayLike<number>): void {
    this.terms.append(terms)
    this.counts.append(counts)
    this.ends.push(this.terms.length)
  }

  startOf(index: number): number {
    return index === 0 ? 0 : this.ends.values[index - 1]!
  }

  /** Adds a term's share of the BM25 score to every row of the tail that holds it. */
  addScores(
    query: { term: number; weight: number },
    lengths: Uint32Array,
    averageLength: number,
    scores: Float64Array,
  ): void {
    for (let index = 0; index < this.rows; index++) {
      const at = findTerm(this.terms.values, this.startOf(index), this.ends.values[index]!, query.term)
      if (at < 0) continue
      const row = this.firstRow + index
      const weight = termWeight(this.counts.values[at]!, lengths[row]!, averageLength)
      scores[row] = scores[row]! + query.weight * weight
    }
  }
}
