import {
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  handleAll,
  timeout,
  TimeoutStrategy,
  wrap,
  type CircuitBreakerPolicy,
} from 'cockatiel'
import { HomeportError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { SearchAnswer, SearchEngine, SearchRequest } from './engine.ts'

/** The index in memory, as far as failing over to it goes. */
export interface StandbyEngine extends SearchEngine {
  status(): { ready: boolean; segments: number }
}

export interface PrimaryEngine extends SearchEngine {
  ready(): boolean
}

export interface FailoverOptions {
  postgres: PrimaryEngine
  memory: StandbyEngine
  log: Logger
  /** How long the database may take while memory could answer instead (default 700). */
  deadlineMs?: number
  /** How long it may take when there is nothing else (default 2,500). */
  lastResortMs?: number
}

/** After this many failures in a row the database is left alone. */
const failuresToOpen = 3
/** A connection that holds this long after coming back is trusted again. */
const settledMs = 30_000
const probeRequest: SearchRequest = { query: 'homeport', limit: 1, offset: 0 }
const probesToClose = 2
const betweenProbesMs = 150

/**
 * How long to wait before the database is tried again: half a second after a first failure, doubling to
 * 15 seconds while it keeps failing or comes back only to fail again.
 *
 * @param attempt 0 for the first wait since the database last held for {@link settledMs}
 */
export function probeDelayMs(attempt: number): number {
  return Math.min(15_000, 500 * 2 ** Math.min(attempt, 10))
}

/**
 * Answers from the database, and from memory when it fails, hangs or is slow. No visitor's request is
 * used to find out whether a database that failed is back: a search of our own does, in the background,
 * and has to succeed twice.
 */
export class FailoverEngine implements SearchEngine {
  readonly #options: Required<FailoverOptions>
  readonly #breaker: CircuitBreakerPolicy
  #probeTimer: NodeJS.Timeout | undefined
  #attempt = 0
  #closedAt = Date.now()
  #stopped = false
  /** Whether the last search found nobody to answer it. */
  #alone = false

  constructor(options: FailoverOptions) {
    this.#options = { deadlineMs: 700, lastResortMs: 2_500, ...options }
    // Half-open at once: when to probe is decided here, and only the probe runs while it is not closed.
    this.#breaker = circuitBreaker(handleAll, {
      halfOpenAfter: 1,
      breaker: new ConsecutiveBreaker(failuresToOpen),
    })
    this.#breaker.onBreak(() => this.#opened())
    this.#breaker.onReset(() => {
      this.#closedAt = Date.now()
      this.#options.log.info('the database answers again')
    })
  }

  /** Who would answer a search now; null when nobody could. */
  source(): 'postgres' | 'memory' | null {
    const memory = this.#memoryReady()
    if (this.#options.postgres.ready() && this.#closed()) return 'postgres'
    return memory ? 'memory' : null
  }

  /** @throws HomeportError NO_SOURCE when neither can answer. */
  async search(request: SearchRequest): Promise<SearchAnswer> {
    const { log } = this.#options
    try {
      const answer = await this.#fromAnyone(request)
      if (this.#alone) log.info({ source: answer.source }, 'searches are answered again')
      this.#alone = false
      return answer
    } catch (error) {
      // A line a visitor would fill the disk.
      if (!this.#alone) log.error({ err: error }, 'no search can be answered')
      this.#alone = true
      throw error
    }
  }

  async #fromAnyone(request: SearchRequest): Promise<SearchAnswer> {
    const memory = this.#memoryReady()
    if (this.#options.postgres.ready() && (this.#closed() || !memory)) {
      try {
        const answer = await this.#fromPostgres(request, memory)
        if (!this.#closed()) this.#probeNow()
        return answer
      } catch (error) {
        const level = this.#closed() && !this.#alone ? 'warn' : 'debug'
        this.#options.log[level]({ err: error }, 'the database did not answer a search')
        if (!this.#memoryReady()) throw noSource(error)
      }
    } else if (!memory) throw noSource(undefined)
    try {
      return await this.#options.memory.search(request)
    } catch (error) {
      throw noSource(error)
    }
  }

  /** Counts a failure that was seen elsewhere, so that a quiet api notices a dead database too. */
  reportFailure(error: unknown): void {
    if (!this.#closed()) return
    this.#breaker.execute(() => Promise.reject(error as Error)).catch(() => undefined)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#probeTimer)
  }

  #closed(): boolean {
    return this.#breaker.state === CircuitState.Closed
  }

  #memoryReady(): boolean {
    const status = this.#options.memory.status()
    return status.ready && status.segments > 0
  }

  async #fromPostgres(request: SearchRequest, memory: boolean): Promise<SearchAnswer> {
    const { postgres, deadlineMs, lastResortMs } = this.#options
    const limit = timeout(memory ? deadlineMs : lastResortMs, TimeoutStrategy.Aggressive)
    // With nothing else to answer, a breaker that is open would only refuse what might work.
    const policy = this.#closed() ? wrap(this.#breaker, limit) : limit
    return policy.execute(
      ({ signal }) => postgres.search({ ...request, signal }),
      request.signal ?? new AbortController().signal,
    )
  }

  #opened(): void {
    if (Date.now() - this.#closedAt > settledMs) this.#attempt = 0
    this.#scheduleProbe()
  }

  #scheduleProbe(): void {
    if (this.#stopped) return
    const delayMs = probeDelayMs(this.#attempt++)
    this.#options.log.warn({ delayMs }, 'answering from memory; the database is tried again soon')
    clearTimeout(this.#probeTimer)
    this.#probeTimer = setTimeout(() => {
      this.#probeTimer = undefined
      void this.#probe()
    }, delayMs)
    this.#probeTimer.unref()
  }

  /** A search of a visitor's, who had nobody else to ask, found the database back. */
  #probeNow(): void {
    if (this.#stopped || this.#probeTimer === undefined) return
    clearTimeout(this.#probeTimer)
    this.#probeTimer = undefined
    void this.#probe()
  }

  async #probe(): Promise<void> {
    const limit = timeout(this.#options.lastResortMs, TimeoutStrategy.Aggressive)
    try {
      // A failure opens the breaker again, which schedules the next probe.
      await this.#breaker.execute(async () => {
        for (let probe = 0; probe < probesToClose; probe++) {
          if (probe > 0) await new Promise((resolve) => setTimeout(resolve, betweenProbesMs))
          await limit.execute(
            ({ signal }) => this.#options.postgres.search({ ...probeRequest, signal }),
            new AbortController().signal,
          )
        }
      })
    } catch (error) {
      this.#options.log.debug({ err: error }, 'the database is not back yet')
    }
  }
}

function noSource(cause: unknown): HomeportError {
  return new HomeportError('NO_SOURCE', 'neither the database nor the index in memory can answer', {
    hint: 'try again in a moment',
    ...(cause === undefined ? {} : { cause }),
  })
}
