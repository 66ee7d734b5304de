import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../../core/log.ts'

/** A side that hangs does not answer a farewell either. */
const farewellMs = 2_000

/** Waits for all of it, but not for long: what does not end in time, or fails, is logged by its name and left. */
export async function inTime(
  log: Logger,
  work: Readonly<Record<string, Promise<unknown> | undefined>>,
  limitMs = farewellMs,
): Promise<void> {
  await Promise.all(
    Object.entries(work).map(async ([what, promise]) => {
      try {
        const late = delay(limitMs, 'late', { ref: false })
        if ((await Promise.race([promise, late])) === 'late') log.warn({ what }, 'did not end in time')
      } catch (error) {
        log.warn({ what, err: error }, 'did not end in order')
      }
    }),
  )
}
