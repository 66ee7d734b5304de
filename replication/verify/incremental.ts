import type { ExactVerification } from './findings.ts'
import { runIncremental, type Proof } from './incremental-run.ts'
import type { VerifyProgress } from './progress.ts'
import type { VerifyExactOptions } from './verify-exact.ts'

export interface IncrementalOptions extends Omit<
  VerifyExactOptions,
  'tier' | 'signal' | 'onTable' | 'onProgress'
> {
  /** how much of what did not change is compared in each run, from 0 to 1 (default 1/32) */
  shareOfRest?: number
}

export interface IncrementalRunOptions {
  /** compare every row */
  full?: boolean
  signal?: AbortSignal
  onTable?: (result: IncrementalVerification) => void
  onProgress?: (progress: VerifyProgress) => void
}

export interface IncrementalVerification extends ExactVerification {
  /** whether every row was compared, not only what changed and a share of the rest */
  isFull: boolean
  /** rows that were compared, on the side that has more */
  comparedRows: number
}

/**
 * Verifies again and again at a small part of the cost. Its first run compares every row, and the slot of that run
 * stays open as a watch that collects the keys written since. Each later run compares those, and a share of the
 * rest, in turns: so whatever was written on the primary is compared in the next run, and what its log does not
 * tell of, an edit in the cloud itself, is found within `1 / shareOfRest` (32) runs at the latest. Runs that fail, or
 * find the cloud behind, do not count for that; they leave everything to the next.
 *
 * A table is compared in full where nothing says that the rest of it is as it was: after drift, TRUNCATE or more writes
 * than are remembered, when a table or a server was made, emptied, rewritten or started anew, when the watch broke.
 * One of few rows always is. The watch is one session and one temporary slot on the primary; it keeps no log.
 *
 * Where a table was not compared in full, `primaryRows` is the last full count with the keys that came and went
 * since, and `cloudRows` follows from it and the differences found.
 */
export class IncrementalVerifier {
  readonly #options: IncrementalOptions
  #proof: Proof | null = null
  #isRunning = false

  constructor(options: IncrementalOptions) {
    this.#options = options
  }

  /**
   * One run at a time. Records its verdicts: as full ones only where every row was compared.
   *
   * @throws HomeportError what openWindow throws; the signal's reason.
   */
  async verify(options: IncrementalRunOptions = {}): Promise<IncrementalVerification[]> {
    if (this.#isRunning) throw new Error('a verification is running already')
    this.#isRunning = true
    try {
      const before = options.full === true ? null : this.#proof
      const { results, proof } = await runIncremental({ ...this.#options, ...options }, before)
      // There is none when the cloud was behind: then the earlier one still holds.
      if (proof !== null) await this.#replaceProof(proof)
      return results
    } finally {
      this.#isRunning = false
    }
  }

  /** Ends the watch. */
  async close(): Promise<void> {
    await this.#replaceProof(null)
  }

  async #replaceProof(proof: Proof | null): Promise<void> {
    const before = this.#proof
    this.#proof = proof
    await before?.watch.close()
  }
}
