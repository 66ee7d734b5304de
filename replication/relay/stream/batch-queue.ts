import type { Batch } from '../batch.ts'
import { isSameDescription, type DescribedRelation } from './relations.ts'
import type { BatchLimits } from './replication-stream.ts'
import { createBatch, type StreamOrigin } from './stream-batch.ts'
import type { Transaction } from './transaction.ts'

/** A batch in one piece is not larger, except where one transaction is. */
const maxBatchBytes = 16 * 1024 * 1024
/** What does not fit into memory travels in parts of this size: two of them fit beside everything else that a relay does. */
const largestPartBytes = 8 * 1024 * 1024

export interface BatchQueueOptions {
  origin: StreamOrigin
  /** where the first batch follows on */
  after: bigint
  /** A batch let go of its memory. */
  onRelease: () => void
}

interface HandedOut {
  end: bigint
  memoryBytes: number
}

/** Whole transactions that wait, and batches that were handed out and are not acknowledged yet. */
export class BatchQueue {
  readonly #origin: StreamOrigin
  readonly #onRelease: () => void
  #waiting: Transaction[] = []
  #waitingBytes = 0
  #handedOut: HandedOut[] = []
  #endLsn: bigint

  constructor(options: BatchQueueOptions) {
    this.#origin = options.origin
    this.#onRelease = options.onRelease
    this.#endLsn = options.after
  }

  /** Where the last batch that was handed out ends. */
  get endLsn(): bigint {
    return this.#endLsn
  }

  /** Where the first transaction that waits ends; null when none does. */
  get nextEndLsn(): bigint | null {
    return this.#waiting[0]?.endLsn ?? null
  }

  /** Of transactions that wait, in memory and on disk. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** What the consumer has not taken, and what it has taken and keeps in memory. */
  get heldBytes(): number {
    return this.#handedOut.reduce((sum, batch) => sum + batch.memoryBytes, this.#waitingBytes)
  }

  /** Nothing waits and everything that was handed out is acknowledged. */
  get isIdle(): boolean {
    return this.#waitingBytes === 0 && this.#handedOut.length === 0
  }

  push(transaction: Transaction): void {
    this.#waiting.push(transaction)
    this.#waitingBytes += sizeOf(transaction)
  }

  /** The next whole transactions within the limits, at least one; null when none waits that ended at `lastLsn` or before. */
  take(limits: BatchLimits, lastLsn: bigint | null = null): Batch | null {
    const transactions = this.#takeTransactions(limits, lastLsn)
    const last = transactions.at(-1)
    if (last === undefined) return null
    return this.#handOut(transactions, last.endLsn, limits.partBytes)
  }

  /** An empty batch that only leads on to a position past the last batch. */
  advance(end: bigint): Batch {
    return this.#handOut([], end)
  }

  /** Everything up to here is durable; false, and nothing done, where no batch ends. */
  acknowledge(lsn: bigint): boolean {
    if (!this.#handedOut.some((batch) => batch.end === lsn)) return false
    this.#handedOut = this.#handedOut.filter((batch) => batch.end > lsn)
    return true
  }

  /** Forgets what waits, and removes its files. */
  async discard(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    await Promise.all(waiting.map((transaction) => transaction.frames.release()))
  }

  #takeTransactions(limits: BatchLimits, lastLsn: bigint | null): Transaction[] {
    let count = 0
    let rows = 0
    let segments = 0
    let bytes = 0
    const maxBytes = Math.min(limits.maxBytes, maxBatchBytes)
    const maxSegments = limits.maxSegments ?? Infinity
    const shapes = new Map<number, DescribedRelation>()
    for (const next of this.#waiting) {
      if (lastLsn !== null && next.endLsn > lastLsn) break
      rows += next.rows
      segments += next.segmentRows
      bytes += next.frames.bytes
      const fits = rows <= limits.maxRows && segments <= maxSegments && bytes <= maxBytes
      // What is on disk is read from there part by part, so it is not mixed with others.
      if (count > 0 && (next.frames.isSpilled || !fits)) break
      // What was written before an alter table fits the cloud as it is, and what comes after it does not: together
      // neither would go in, whatever shape a person gives the cloud.
      if (isReshaped(next, shapes)) break
      for (const one of next.descriptions) shapes.set(one.oid, one)
      count += 1
      if (next.frames.isSpilled) break
    }
    const taken = this.#waiting.splice(0, count)
    for (const transaction of taken) this.#waitingBytes -= sizeOf(transaction)
    return taken
  }

  #handOut(transactions: readonly Transaction[], end: bigint, partBytes = largestPartBytes): Batch {
    const memoryBytes = transactions.reduce((sum, transaction) => sum + transaction.frames.memoryBytes, 0)
    const entry = { end, memoryBytes }
    this.#handedOut.push(entry)
    const after = this.#endLsn
    this.#endLsn = end
    return createBatch({
      origin: this.#origin,
      after,
      end,
      transactions,
      partBytes,
      onRelease: () => {
        entry.memoryBytes = 0
        this.#onRelease()
      },
    })
  }
}

function isReshaped({ descriptions }: Transaction, shapes: ReadonlyMap<number, DescribedRelation>): boolean {
  return descriptions.some((one) => {
    const before = shapes.get(one.oid)
    return before !== undefined && !isSameDescription(before, one)
  })
}

/** Never 0, so that even an empty transaction counts. */
function sizeOf(transaction: Transaction): number {
  return Math.max(transaction.frames.bytes, transaction.frames.memoryBytes) + 64
}
