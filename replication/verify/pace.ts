import { sleep } from '../../core/backoff.ts'
import { Rests, type ChunkPlan, type HashedChunk } from './rests.ts'

export const paces = ['default', 'full'] as const
/** How hard a comparison may press the servers. */
export type Pace = (typeof paces)[number]

/** What one statement should take: short enough that nobody waits for it long, as pt-table-checksum does. */
const targetMs: Readonly<Record<Pace, number>> = { default: 500, full: 2000 }
const firstChunkRows = 2000
const minChunkRows = 100
const maxChunkRows = 500_000

/** Pure: the rows of the next chunk, so that it takes about `targetMs`; it never changes by more than four times. */
export function nextChunkRows(last: { rows: number; elapsedMs: number; targetMs: number }): number {
  const factor = last.targetMs / Math.max(last.elapsedMs, 1)
  const rows = Math.round(last.rows * Math.min(4, Math.max(0.25, factor)))
  return Math.min(maxChunkRows, Math.max(minChunkRows, rows))
}

/** More log than this on its way is a cloud that does not keep up. */
const lagFloorBytes = 16 * 2 ** 20
const maxPauseMs = 30_000

export interface LagFacts {
  /** log on its way when the comparison began; null where nobody knows */
  atStartBytes: number | null
  nowBytes: number | null
  /** paused so far, in one go */
  pausedMs: number
}

/**
 * Pure: whether to wait for the cloud. It waits while replication is further behind than twice what it was
 * at the start (16 MB at least), for 30 s at most in one go: the snapshots that are held cost the servers too.
 */
export function shouldPause({ atStartBytes, nowBytes, pausedMs }: LagFacts): boolean {
  if (nowBytes === null || pausedMs >= maxPauseMs) return false
  return nowBytes > Math.max(lagFloorBytes, 2 * (atStartBytes ?? 0))
}

export interface ThrottleOptions {
  pace: Pace
  /** log on its way to the cloud; null where nobody knows */
  readLagBytes: () => Promise<number | null>
  signal?: AbortSignal
  /** said when it waits for the cloud */
  onPause?: (lagBytes: number) => void
  /** rows of the first chunk, where an earlier comparison has found out */
  firstRows?: number
  lagEveryMs?: number
  pauseMs?: number
}

/** Sizes the chunks of a comparison by how long the last ones took, and waits where replication suffers. */
export class Throttle {
  readonly #options: ThrottleOptions
  readonly #atStart: Promise<number | null>
  #rows: number
  readonly #rests = new Rests()
  #lookedAtMs: number

  constructor(options: ThrottleOptions) {
    this.#options = options
    this.#rows = options.firstRows ?? firstChunkRows
    this.#lookedAtMs = performance.now()
    // Asked beside whatever else comes before the first chunk.
    this.#atStart = options.pace === 'full' ? Promise.resolve(null) : options.readLagBytes()
    // It is awaited where the answer is needed, if it ever is.
    this.#atStart.catch(() => undefined)
  }

  /** What a chunk should have by now. */
  get rows(): number {
    return this.#rows
  }

  /** Whether a chunk is only begun when the one before is done on both sides. */
  get isGentle(): boolean {
    return this.#options.pace !== 'full'
  }

  /** Before a statement: waits where it must. */
  async wait(): Promise<void> {
    this.#options.signal?.throwIfAborted()
    if (this.isGentle && performance.now() - this.#lookedAtMs >= (this.#options.lagEveryMs ?? 1000)) {
      await this.#waitForCloud()
      this.#lookedAtMs = performance.now()
    }
  }

  /** Before a chunk: how it should be, after waiting where it must. */
  async next(table: string): Promise<ChunkPlan> {
    await this.wait()
    if (!this.isGentle) return { rows: this.#rows, restEveryRows: null }
    return this.#rests.plan(table, this.#rows)
  }

  /**
   * After a chunk, with the rows it was cut to have: those that are not published cost next to nothing, and a chunk with
   * many of them should be longer. It may have been cut before the last one was timed.
   */
  took(table: string, chunk: HashedChunk & { isLast: boolean }, elapsedMs: number): void {
    this.#rests.took(table, chunk)
    // The last of a range may be a small rest, which says nothing.
    if (chunk.isLast && elapsedMs < targetMs[this.#options.pace]) return
    this.#rows = nextChunkRows({ rows: chunk.rows, elapsedMs, targetMs: targetMs[this.#options.pace] })
  }

  async #waitForCloud(): Promise<void> {
    const { readLagBytes, signal, onPause, pauseMs = 500 } = this.#options
    const startedAt = performance.now()
    let isSaid = false
    const atStartBytes = await this.#atStart
    for (;;) {
      const nowBytes = await readLagBytes()
      const pausedMs = performance.now() - startedAt
      if (!shouldPause({ atStartBytes, nowBytes, pausedMs })) return
      if (!isSaid) onPause?.(nowBytes ?? 0)
      isSaid = true
      await sleep(pauseMs, signal)
    }
  }
}
