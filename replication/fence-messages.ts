import { parseLsn } from '../core/lsn.ts'

/**
 * What a comparison and the relay say to each other, by NOTIFY on the primary, so that the relay stands still at one
 * position while the cloud's snapshot is opened: `hold`, answered by `held`; `until` a position, answered by `at`;
 * `release`. `refused` answers at any time, and the relay goes on by itself when it was held for too long.
 */
export const fenceChannel = 'homeport_fence'
export const fenceReplyChannel = 'homeport_fence_reply'

export type FenceRequest =
  { id: string; op: 'hold' } | { id: string; op: 'until'; lsn: string } | { id: string; op: 'release' }

export type FenceReply =
  | { id: string; state: 'held' }
  /** the cloud has exactly the commits that ended at `lsn` or before, of which the last ended at `endLsn` */
  | { id: string; state: 'at'; lsn: string; endLsn: string }
  | { id: string; state: 'refused'; reason: string }

/** Null for what is none: anybody may notify. */
export function parseRequest(payload: string | undefined): FenceRequest | null {
  const { id, op, lsn } = fields(payload)
  if (typeof id !== 'string') return null
  if (op === 'hold' || op === 'release') return { id, op }
  return op === 'until' && typeof lsn === 'string' && isLsn(lsn) ? { id, op, lsn } : null
}

/** Null for what is none. */
export function parseReply(payload: string | undefined): FenceReply | null {
  const { id, state, lsn, endLsn, reason } = fields(payload)
  if (typeof id !== 'string') return null
  if (state === 'held') return { id, state }
  if (state === 'refused' && typeof reason === 'string') return { id, state, reason }
  const isAt = state === 'at' && typeof lsn === 'string' && typeof endLsn === 'string'
  return isAt && isLsn(lsn) && isLsn(endLsn) ? { id, state, lsn, endLsn } : null
}

type Fields = Partial<Record<'id' | 'op' | 'lsn' | 'state' | 'endLsn' | 'reason', unknown>>

function fields(payload: string | undefined): Fields {
  try {
    const found: unknown = JSON.parse(payload ?? '')
    return typeof found === 'object' && found !== null ? found : {}
  } catch {
    return {}
  }
}

function isLsn(text: string): boolean {
  try {
    parseLsn(text)
    return true
  } catch {
    return false
  }
}
