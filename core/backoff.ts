import { setTimeout as delay } from 'node:timers/promises'

export interface BackoffOptions {
  /** 0 for the first retry */
  attempt: number
  baseMs: number
  maxMs: number
  /** 0 to 1; Math.random unless a test decides */
  random?: () => number
}

/**
 * Milliseconds to wait before a retry: a random part of an exponentially growing limit ("full
 * jitter", AWS Architecture Blog 2015), never under a quarter of it, so that a loop cannot spin.
 */
export function backoffMs(options: BackoffOptions): number {
  const limitMs = Math.min(options.maxMs, options.baseMs * 2 ** Math.min(options.attempt, 30))
  const random = options.random ?? Math.random
  return Math.round(limitMs * (0.25 + 0.75 * random()))
}

/** Waits; rejects with the signal's reason as soon as it aborts. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted()
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal })
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  }
}

/** The promise's outcome, or the signal's reason as soon as it aborts; the work itself is not stopped. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  // What nobody waits for any more may still fail.
  work.catch(() => undefined)
  signal.throwIfAborted()
  let stop = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
