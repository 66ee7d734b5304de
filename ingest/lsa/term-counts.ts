import type { EmbeddableCounts } from '../../core/embed/lsa.ts'

const chunkLength = 1 << 18

/** Documents as term counts, packed: six bytes a distinct term, in chunks so that growing copies nothing. */
export class TermCountStore {
  #terms: Int32Array[] = []
  #counts: Uint16Array[] = []
  #ends: number[] = []
  #length = 0

  get documents(): number {
    return this.#ends.length
  }

  add(document: EmbeddableCounts): void {
    const { terms, counts } = document
    for (let at = 0; at < terms.length; at++) {
      const within = this.#length % chunkLength
      if (within === 0) {
        this.#terms.push(new Int32Array(chunkLength))
        this.#counts.push(new Uint16Array(chunkLength))
      }
      this.#terms.at(-1)![within] = terms[at]!
      this.#counts.at(-1)![within] = counts[at]!
      this.#length++
    }
    this.#ends.push(this.#length)
  }

  /** Visits every distinct term of a document, in the order it was added. */
  forEachTerm(document: number, visit: (term: number, count: number) => void): void {
    const end = this.#ends[document] ?? 0
    for (let at = document === 0 ? 0 : this.#ends[document - 1]!; at < end; at++) {
      const chunk = Math.floor(at / chunkLength)
      visit(this.#terms[chunk]![at % chunkLength]!, this.#counts[chunk]![at % chunkLength]!)
    }
  }

  termsOf(document: number): number {
    return (this.#ends[document] ?? 0) - (document === 0 ? 0 : this.#ends[document - 1]!)
  }
}
