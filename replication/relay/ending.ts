import { sleep } from '../../core/backoff.ts'
import { HomeportError } from '../../core/errors.ts'

/** How a process of loops ends: first nothing new is begun; what is still under way after a while is given up. */
export class Ending {
  readonly #stopping = new AbortController()
  readonly #hard = new AbortController()
  readonly #graceMs: number

  constructor(graceMs: number) {
    this.#graceMs = graceMs
  }

  /** Nothing new is begun. */
  get stopping(): AbortSignal {
    return this.#stopping.signal
  }

  /** What is under way is given up. */
  get hard(): AbortSignal {
    return this.#hard.signal
  }

  /** Begins the end; once is enough. */
  readonly stop = (): void => {
    if (this.stopping.aborted) return
    this.#stopping.abort(new HomeportError('INTERRUPTED', 'the relay was told to stop'))
    const late = new HomeportError('INTERRUPTED', 'what was under way was given up')
    setTimeout(() => this.#hard.abort(late), this.#graceMs).unref()
  }

  /** Whether an error only says that the end has begun. */
  isReason(error: unknown): boolean {
    return [this.stopping, this.hard].some((signal) => signal.aborted && error === signal.reason)
  }

  /** Does it now and then, until the end begins. */
  async repeat(everyMs: number, work: () => Promise<void>): Promise<void> {
    while (!this.stopping.aborted) {
      await work()
      await sleep(everyMs, this.stopping).catch(() => undefined)
    }
  }

  /** Runs all of it until each has ended. The first that fails begins the end, and its error is thrown. */
  async together(tasks: readonly Promise<void>[]): Promise<void> {
    let failed: { error: unknown } | undefined
    const watched = tasks.map((task) =>
      task.catch((error: unknown) => {
        if (!this.isReason(error)) failed ??= { error }
        this.stop()
      }),
    )
    await Promise.all(watched)
    if (failed !== undefined) throw failed.error
  }
}
