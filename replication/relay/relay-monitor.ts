import { sleep } from '../../core/backoff.ts'
import { errorCode, errorMessage, HomeportError } from '../../core/errors.ts'
import type { LocalServer } from '../../core/http/local-server.ts'
import type { Delivered } from './flow.ts'
import { startHealthServer } from './health-server.ts'
import { writeMemory, type StoredMemory } from './memory-file.ts'
import { createRelayMetrics } from './metrics.ts'
import { progressLine, RowRate } from './progress-line.ts'
import { stateOf, statusOf, type RelayView } from './relay-view.ts'
import type { RelayOutcome, RunRelayOptions } from './run.ts'
import { writeStatus, type RelayState, type RelayStatus } from './status-file.ts'
import type { Transport } from './transport-choice.ts'

const tickMs = 1_000

/** What the relay shows of itself while it runs: counters, status file, health, metrics, live line. */
export class RelayMonitor {
  readonly #options: RunRelayOptions
  readonly #folder: string
  readonly #startedAt = new Date()
  readonly #ended = new AbortController()
  readonly #metrics = createRelayMetrics()
  #server: LocalServer | null = null
  #look: () => RelayView = () => {
    throw new Error('the monitor was not started')
  }
  #ticking: Promise<void> = Promise.resolve()
  #state: { state: RelayState; at: string }
  #lastError: RelayStatus['lastError'] = null
  #written: StoredMemory | null = null
  #fileTrouble: string | null = null
  #counts = { batches: 0, rows: 0, resolved: 0, quarantined: 0, spooled: 0 }
  readonly #rate = new RowRate()

  constructor(options: RunRelayOptions, folder: string) {
    this.#options = options
    this.#folder = folder
    this.#state = { state: 'starting', at: this.#startedAt.toISOString() }
  }

  /** Begins to show what `look` sees. @throws HomeportError when the port of health and metrics is taken. */
  async start(look: () => RelayView): Promise<void> {
    this.#look = look
    const { port, log } = this.#options
    this.#server = await startHealthServer({ port, metrics: this.#metrics, health: () => this.status() })
    log.info({ url: this.#server.url }, 'health and metrics')
    this.#ticking = this.#tick()
  }

  onApplied({ batch, applied, tookMs, from, transport }: Delivered): void {
    const { rows, resolved, quarantined, isNew } = applied
    const { log } = this.#options
    this.#counts.batches += 1
    this.#counts.rows += rows
    this.#counts.resolved += resolved
    this.#counts.quarantined += quarantined
    this.#metrics.onApplied({
      transport,
      rows: isNew ? batch.rowCounts() : [],
      seconds: tookMs / 1000,
      conflicts: resolved,
      quarantined,
    })
    log.debug({ end: batch.end, rows, isNew, tookMs: Math.round(tookMs), from }, 'batch applied')
    if (resolved > 0) log.warn({ end: batch.end, resolved }, 'changes of rows that the cloud did not have')
    if (quarantined > 0) log.error({ end: batch.end, quarantined }, 'rows were put aside: see ops status')
  }

  onSent(transport: Transport, bytes: number): void {
    this.#metrics.onSent(transport, bytes)
  }

  onReconnect(side: 'primary' | 'cloud'): void {
    this.#metrics.onReconnect(side)
  }

  onSpooled(): void {
    this.#counts.spooled += 1
  }

  noteTrouble(error: unknown): void {
    const hint = error instanceof HomeportError ? (error.hint ?? null) : null
    const code = errorCode(error) ?? 'UNEXPECTED'
    this.#lastError = { code, message: errorMessage(error), hint, at: new Date().toISOString() }
  }

  outcome(end: Pick<RelayOutcome, 'reason' | 'slot' | 'endLsn' | 'transport'>): RelayOutcome {
    const seconds = Math.round((Date.now() - this.#startedAt.getTime()) / 100) / 10
    return { ...end, ...this.#counts, seconds }
  }

  /** The last word, and the end of health and metrics. */
  async stop(failure: HomeportError | null): Promise<void> {
    this.#ended.abort()
    await this.#ticking
    if (failure !== null) this.noteTrouble(failure)
    await this.#write({ ...this.#look(), isStopped: true })
    await this.#server?.close()
  }

  status(view = this.#look()): RelayStatus {
    const state = stateOf(view)
    if (state !== this.#state.state) {
      this.#options.log.info({ before: this.#state.state, state }, 'state')
      this.#state = { state, at: new Date().toISOString() }
    }
    const { rows } = this.#counts
    return statusOf(view, {
      ...this.#state,
      startedAt: this.#startedAt.toISOString(),
      rows,
      lastError: this.#lastError,
    })
  }

  async #tick(): Promise<void> {
    const { signal } = this.#ended
    while (!signal.aborted) {
      const view = this.#look()
      await this.#write(view)
      const rate = this.#rate.at(performance.now(), this.#counts.rows)
      this.#options.onProgress?.(progressLine(this.status(view), rate))
      await sleep(tickMs, signal).catch(() => undefined)
    }
  }

  /** A disk that is full must not end the relay: it only shows nothing for a while. */
  async #write(view: RelayView): Promise<void> {
    try {
      await writeStatus(this.#folder, this.status(view))
      if (view.memory !== null && view.memory !== this.#written) await writeMemory(this.#folder, view.memory)
      this.#written = view.memory
      this.#fileTrouble = null
    } catch (error) {
      if (this.#fileTrouble === null)
        this.#options.log.error({ err: error }, 'the status file cannot be written')
      this.#fileTrouble = errorMessage(error)
    }
  }
}
