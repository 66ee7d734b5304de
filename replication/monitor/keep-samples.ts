import { hasSlept, walRate, type LogHistory } from './home-look.ts'
import type { MonitorSample } from './sample.ts'
import { isWorse } from './thin-samples.ts'

/**
 * Chooses what of the looks goes into the history: of those between two kept ones the worst, with the log that was
 * written in all of that time. A moment's trouble, or a burst, is not lost between two of them.
 */
export class SampleKeeper {
  readonly #everyMs: number
  #keptMs = -Infinity
  #worst: MonitorSample | null = null
  /** proofs as they were kept last */
  #told = ''
  /** where the log was then */
  #lsn: LogHistory['lsn'] = null

  constructor(everySeconds: number) {
    this.#everyMs = everySeconds * 1000
  }

  /**
   * One look further; what is to be kept now, or null. News of proofs is kept at once.
   *
   * @param lsn where the primary's log is; null when it did not answer
   * @param atMs by a clock that only runs forward
   */
  add(sample: MonitorSample, lsn: LogHistory['lsn'], atMs: number): MonitorSample | null {
    const worst = this.#worst === null || isWorse(sample, this.#worst) ? sample : this.#worst
    const told = JSON.stringify([sample.tables, sample.recall])
    if (told === this.#told && atMs - this.#keptMs < this.#everyMs) {
      this.#worst = worst
      return null
    }
    const isOne = lsn === null || this.#lsn === null || hasSlept(this.#lsn, lsn)
    const walBytesPerSecond = isOne ? worst.walBytesPerSecond : walRate(this.#lsn, lsn)
    this.#keptMs = atMs
    this.#worst = null
    this.#told = told
    this.#lsn = lsn
    return { ...worst, walBytesPerSecond, tables: sample.tables, recall: sample.recall }
  }
}
