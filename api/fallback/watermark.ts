import type { Check } from './collection.ts'
import type { Marks } from './cloud-state.ts'

/** How long a transaction at home may stay open after it took its numbers, and still be found by the next refresh. */
const lookbackMs = 15 * 60_000
/** And by how many numbers it may lie behind what was seen first, when the api has not run that long. */
const overlap = 5_000

/**
 * Up to where the cloud was read. Numbers are taken when a row is written and appear when its transaction
 * commits, so a lower one can appear after a higher one: what is looked at again begins well below.
 */
export class Watermark {
  #history: { atMs: number; marks: Marks }[]
  #tombstones: number[] = []

  constructor(marks: Marks, atMs: number) {
    this.#history = [{ atMs, marks }]
  }

  /** The largest numbers seen. */
  get newest(): Marks {
    return this.#history.at(-1)!.marks
  }

  /** The bounds above which everything is looked at again. */
  low(): Marks {
    const { segments, embeddings, tombstones } = this.#history[0]!.marks
    const below = (mark: number) => Math.max(0, mark - overlap)
    return { segments: below(segments), embeddings: below(embeddings), tombstones: below(tombstones) }
  }

  /** @param newest of the rows above the bounds; 0 where there were none */
  observe(newest: Marks, atMs: number): void {
    const last = this.newest
    this.#history.push({
      atMs,
      marks: {
        segments: Math.max(last.segments, newest.segments),
        embeddings: Math.max(last.embeddings, newest.embeddings),
        tombstones: Math.max(last.tombstones, newest.tombstones),
      },
    })
    const old = this.#history.findLastIndex((one) => one.atMs <= atMs - lookbackMs)
    if (old > 0) this.#history.splice(0, old)
    const low = this.low().tombstones
    this.#tombstones = this.#tombstones.filter((changeSeq) => changeSeq > low)
  }

  /** Tombstones that have been acted on, as the cloud counts them. */
  checkTombstones(low: number): Check {
    const above = this.#tombstones.filter((changeSeq) => changeSeq > low)
    return { count: above.length, sum: above.reduce((sum, changeSeq) => sum + BigInt(changeSeq), 0n) }
  }

  /** These, and no others above the bound, have been acted on. */
  buried(changeSeqs: number[]): void {
    this.#tombstones = changeSeqs
  }
}
