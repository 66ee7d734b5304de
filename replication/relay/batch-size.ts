import type { Transport } from './transport-choice.ts'

/** How much goes into one cloud transaction. */
export interface BatchSize {
  maxRows: number
  maxBytes: number
  /** over HTTPS: rows of the segments table */
  maxSegments?: number
  /** straight to Postgres, where a part is no request of its own */
  partBytes?: number
}

/** A delivered batch, as far as its size is concerned. */
export interface Delivery {
  rows: number
  /** more was there when it was cut */
  wasCut: boolean
  tookMs: number
}

/** Below it a full batch may grow: a far cloud's round trips alone take a second. */
const quickMs = 2_000
/** Above it a transaction is too long for those who wait behind it. */
const slowMs = 5_000
const smallest: BatchSize = { maxRows: 100, maxBytes: 256 * 1024 }
const largest: BatchSize = { maxRows: 20_000, maxBytes: 16 * 1024 * 1024 }

/** To begin with, straight to Postgres. */
export const firstSize: BatchSize = { maxRows: 1_000, maxBytes: 2 * 1024 * 1024 }

/**
 * The size of the next batch straight to Postgres. Grows while full batches go through quickly, so that a
 * far cloud's round trips are shared by many rows, and shrinks when they take long. A batch that was not
 * full tells nothing: there was no more to send.
 */
export function nextSize(size: BatchSize, last: Delivery): BatchSize {
  if (last.tookMs > slowMs) return scale(size, 0.5)
  const wasFull = last.wasCut || last.rows >= size.maxRows
  return wasFull && last.tookMs < quickMs ? scale(size, 2) : size
}

function scale(size: BatchSize, factor: number): BatchSize {
  const within = (value: number, min: number, max: number): number =>
    Math.min(max, Math.max(min, Math.round(value * factor)))
  return {
    maxRows: within(size.maxRows, smallest.maxRows, largest.maxRows),
    maxBytes: within(size.maxBytes, smallest.maxBytes, largest.maxBytes),
  }
}

/** The limits by the way in use: over HTTPS so many segments or 16 MB, whichever comes first. */
export function sizeFor(transport: Transport, size: BatchSize, maxSegments: number): BatchSize {
  return transport === 'direct' ? { ...size, partBytes: 1 << 20 } : { ...largest, maxSegments }
}
