import type { Queryable } from '../../../core/db.ts'
import { HomeportError } from '../../../core/errors.ts'
import { readSlots, type SlotFacts } from '../../slot.ts'

export interface SlotWatchOptions {
  primary: Queryable
  slot: string
  everyMs?: number
  /** said once: the log kept for the slot comes near its limit */
  onNote?: (text: string) => void
}

export interface SlotWatch {
  /** aborts with SLOT_LOST */
  lost: AbortSignal
  end(): void
}

/**
 * Looks at a slot while the copy goes on: when the primary throws away log that the slot needs, what is
 * copied can no longer be brought up to date, and going on is in vain.
 */
export function watchSlot(options: SlotWatchOptions): SlotWatch {
  const lost = new AbortController()
  let warned = false
  let looking = false
  const look = async (): Promise<void> => {
    const slot = (await readSlots(options.primary)).find((one) => one.name === options.slot)
    const error = judgeSeedSlot(options.slot, slot)
    if (error !== null) lost.abort(error)
    if (slot?.walStatus === 'unreserved' && !warned) {
      warned = true
      options.onNote?.(
        `the slot ${slot.name} is about to be lost: raise max_slot_wal_keep_size on the primary now, then: select pg_reload_conf()`,
      )
    }
  }
  const timer = setInterval(() => {
    if (looking) return
    looking = true
    look()
      // A primary that does not answer fails the copy itself.
      .catch(() => undefined)
      .finally(() => (looking = false))
  }, options.everyMs ?? 2000)
  return { lost: lost.signal, end: () => clearInterval(timer) }
}

/** Pure: why the copy cannot go on with this slot; null when it can. */
export function judgeSeedSlot(
  name: string,
  slot: Pick<SlotFacts, 'walStatus'> | undefined,
): HomeportError | null {
  if (slot !== undefined && slot.walStatus !== 'lost') return null
  return new HomeportError(
    'SLOT_LOST',
    slot === undefined
      ? `the slot ${name} is gone from the primary: what changes there during the copy would be missing`
      : `the primary has thrown away log that the slot ${name} needs: it writes more during the copy than max_slot_wal_keep_size keeps`,
    { hint: 'raise max_slot_wal_keep_size, then run the same command again: it begins anew' },
  )
}
