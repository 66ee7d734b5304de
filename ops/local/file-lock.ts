import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { HomeportError } from '../../core/errors.ts'
import { tryFileLock } from '../../core/file-lock.ts'

/**
 * Runs `work` while no other process runs its own under the same lock file. A lock whose owner died is
 * taken over.
 *
 * @throws HomeportError LOCK_TIMEOUT after `timeoutMs` (default two minutes), naming the owner.
 */
export async function withFileLock<T>(
  file: string,
  work: () => Promise<T>,
  options: { timeoutMs?: number } = {},
): Promise<T> {
  mkdirSync(dirname(file), { recursive: true })
  const end = Date.now() + (options.timeoutMs ?? 120_000)
  for (;;) {
    const lock = tryFileLock(file)
    if ('release' in lock) {
      try {
        return await work()
      } finally {
        lock.release()
      }
    }
    if (Date.now() > end) {
      throw new HomeportError('LOCK_TIMEOUT', `process ${lock.heldBy ?? '?'} holds ${file}`)
    }
    await sleep(20 + Math.random() * 30)
  }
}
