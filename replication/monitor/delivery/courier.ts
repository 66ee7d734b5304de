import { backoffMs, sleep } from '../../../core/backoff.ts'
import { errorMessage } from '../../../core/errors.ts'
import type { Notice, Way } from './notice.ts'

export interface CourierOptions {
  way: Way
  /** said once for each time that the way fails */
  onFailure?: (message: string) => void
  baseMs?: number
  maxMs?: number
}

/** More than this waits for nobody: the oldest goes. */
const mostWaiting = 100
/** One refusal may be chance; this many are a finding. */
const attemptsToFail = 3

/** Takes notices one way, in order, each until it has arrived; nobody waits for it. */
export class Courier {
  readonly #options: CourierOptions
  readonly #ended = new AbortController()
  #waiting: Notice[] = []
  #working: Promise<void> | null = null
  #failure: string | null = null

  constructor(options: CourierOptions) {
    this.#options = options
  }

  get name(): Way['name'] {
    return this.#options.way.name
  }

  /** Why nothing arrives this way, for as long as nothing does. */
  get failure(): string | null {
    return this.#failure
  }

  send(notice: Notice): void {
    this.#waiting = [...this.#waiting, notice].slice(-mostWaiting)
    this.#working ??= this.#work().finally(() => (this.#working = null))
  }

  /** Waits until what is on its way has arrived, for `graceMs` at most, and gives up the rest. Returns how many. */
  async close(graceMs: number): Promise<number> {
    const timer = setTimeout(() => this.#ended.abort(), graceMs)
    await this.#working
    clearTimeout(timer)
    this.#ended.abort()
    return this.#waiting.length
  }

  async #work(): Promise<void> {
    const { way, onFailure, baseMs = 1000, maxMs = 300_000 } = this.#options
    const { signal } = this.#ended
    let failures = 0
    while (!signal.aborted) {
      const [notice] = this.#waiting
      if (notice === undefined) return
      try {
        await way.deliver(notice, signal)
        failures = 0
        this.#failure = null
        this.#waiting = this.#waiting.filter((one) => one !== notice)
      } catch (error) {
        if (signal.aborted) return
        failures += 1
        if (failures === 1) onFailure?.(errorMessage(error))
        if (failures >= attemptsToFail) this.#failure = errorMessage(error)
        // The end interrupts the wait.
        await sleep(backoffMs({ attempt: failures - 1, baseMs, maxMs }), signal).catch(() => undefined)
      }
    }
  }
}
