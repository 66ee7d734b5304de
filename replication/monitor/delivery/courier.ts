import { backoffMs, sleep } from '../../../core/backoff.ts'
import { errorMessage } from '../../../core/errors.ts'
import { TryLater, type Notice, type Way } from './notice.ts'

export interface CourierOptions {
  way: Way
  /** what the last monitor left */
  waiting?: readonly Notice[]
  /** Keeps what waits, whenever that changes. Never throws. */
  keep?: (waiting: readonly Notice[]) => Promise<void>
  /** said once for each time that the way fails */
  onFailure?: (message: string) => void
  baseMs?: number
  maxMs?: number
}

/** More than this waits for nobody: the oldest goes. */
const mostWaiting = 100
/** One refusal may be chance; this many are a finding. */
const attemptsToFail = 3

/** Nobody is told later than this after a refusal, whatever it asks for. */
const longestWaitMs = 3_600_000

/** Takes notices one way, in order, each until it has arrived; nobody waits for it. */
export class Courier {
  readonly #options: CourierOptions
  readonly #ended = new AbortController()
  #waiting: readonly Notice[]
  #isWorking = false
  #working: Promise<void> = Promise.resolve()
  #failures = 0
  #hasArrived = false
  #failure: string | null = null

  constructor(options: CourierOptions) {
    this.#options = options
    this.#waiting = options.waiting ?? []
  }

  get name(): Way['name'] {
    return this.#options.way.name
  }

  /** Why nothing arrives this way, for as long as nothing does. */
  get failure(): string | null {
    return this.#failure
  }

  /** Whether anything has arrived this way since it began. */
  get hasArrived(): boolean {
    return this.#hasArrived
  }

  get waiting(): readonly Notice[] {
    return this.#waiting
  }

  /** Takes it over: it is on disk when this resolves, and is delivered once {@link go} was called. */
  async send(notice: Notice): Promise<void> {
    const { keep, onFailure } = this.#options
    const waiting = [...this.#waiting, notice]
    if (waiting.length > mostWaiting)
      onFailure?.(`more than ${mostWaiting} alerts wait: the oldest is given up`)
    this.#waiting = waiting.slice(-mostWaiting)
    await keep?.(this.#waiting)
  }

  /** Delivers what waits, if it does not do so already. */
  go(): void {
    if (this.#isWorking) return
    this.#isWorking = true
    this.#working = this.#work()
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
    try {
      while (!this.#ended.signal.aborted) {
        const [notice] = this.#waiting
        if (notice === undefined) return
        await this.#deliver(notice)
      }
    } finally {
      // With the last look at what waits, so that nothing that comes now is left lying.
      this.#isWorking = false
    }
  }

  /** Once; when it fails it waits, so that the next may try. */
  async #deliver(notice: Notice): Promise<void> {
    const { way, onFailure, keep, baseMs = 1000, maxMs = 300_000 } = this.#options
    const { signal } = this.#ended
    try {
      await way.deliver(notice, signal)
      this.#failures = 0
      this.#hasArrived = true
      this.#failure = null
      this.#waiting = this.#waiting.filter((one) => one !== notice)
      await keep?.(this.#waiting)
    } catch (error) {
      if (signal.aborted) return
      this.#failures += 1
      if (this.#failures === 1) onFailure?.(errorMessage(error))
      if (this.#failures >= attemptsToFail) this.#failure = errorMessage(error)
      const wantedMs = error instanceof TryLater ? Math.min(error.afterMs, longestWaitMs) : 0
      const waitMs = Math.max(wantedMs, backoffMs({ attempt: this.#failures - 1, baseMs, maxMs }))
      // The end interrupts the wait.
      await sleep(waitMs, signal).catch(() => undefined)
    }
  }
}
