/** Positions of rows, best first, with their scores. */
export interface Nearest {
  positions: number[]
  scores: number[]
}

/** Keeps the `capacity` best of all it is offered: a heap whose root is the worst it holds. */
export class TopK {
  readonly #capacity: number
  readonly #precedes: (a: number, b: number) => boolean
  readonly #positions: number[] = []
  readonly #scores: number[] = []

  /** @param precedes which of two positions of equal score comes first; the smaller unless told */
  constructor(capacity: number, precedes: (a: number, b: number) => boolean = (a, b) => a < b) {
    this.#capacity = capacity
    this.#precedes = precedes
  }

  offer(position: number, score: number): void {
    const size = this.#positions.length
    if (size < this.#capacity) {
      this.#positions.push(position)
      this.#scores.push(score)
      this.#rise(size)
    } else if (size > 0 && this.#better(position, score, this.#positions[0]!, this.#scores[0]!)) {
      this.#positions[0] = position
      this.#scores[0] = score
      this.#sink(0)
    }
  }

  best(): Nearest {
    const order = this.#positions.map((_, at) => at)
    order.sort((a, b) =>
      this.#better(this.#positions[a]!, this.#scores[a]!, this.#positions[b]!, this.#scores[b]!) ? -1 : 1,
    )
    return {
      positions: order.map((at) => this.#positions[at]!),
      scores: order.map((at) => this.#scores[at]!),
    }
  }

  #better(position: number, score: number, otherPosition: number, otherScore: number): boolean {
    return score > otherScore || (score === otherScore && this.#precedes(position, otherPosition))
  }

  #isBetter(a: number, b: number): boolean {
    return this.#better(this.#positions[a]!, this.#scores[a]!, this.#positions[b]!, this.#scores[b]!)
  }

  #rise(from: number): void {
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isBetter(parent, at)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #sink(from: number): void {
    const size = this.#positions.length
    let at = from
    for (;;) {
      let worst = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < size && this.#isBetter(worst, child)) worst = child
      }
      if (worst === at) return
      this.#swap(at, worst)
      at = worst
    }
  }

  #swap(a: number, b: number): void {
    const position = this.#positions[a]!
    this.#positions[a] = this.#positions[b]!
    this.#positions[b] = position
    const score = this.#scores[a]!
    this.#scores[a] = this.#scores[b]!
    this.#scores[b] = score
  }
}
