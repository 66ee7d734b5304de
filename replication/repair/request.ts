import type { Key } from '../verify/row-hash.ts'

/** What ops repair asks of a relay, through the primary's log. */
export interface RepairRequest {
  /** one call of ops repair --apply */
  run: string
  table: string
  /** put: the cloud gets the primary's row; remove: the cloud's row goes, where the primary has none */
  action: 'put' | 'remove'
  keys: readonly Key[]
}

/** Of the logical messages that carry a request; anybody may write such a message, so it holds no rows, only keys. */
export const repairPrefix = 'homeport.repair'

export function encodeRequest(request: RepairRequest): string {
  const { run, table, action, keys } = request
  return JSON.stringify({ run, table, action, keys })
}

/** Null for anything that is no request: whoever wrote it, it is none of ours. */
export function decodeRequest(prefix: string, content: Buffer): RepairRequest | null {
  if (prefix !== repairPrefix) return null
  let found: unknown
  try {
    found = JSON.parse(content.toString('utf8'))
  } catch {
    return null
  }
  if (typeof found !== 'object' || found === null) return null
  const { run, table, action, keys }: Partial<Record<keyof RepairRequest, unknown>> = found
  if (typeof run !== 'string' || typeof table !== 'string') return null
  if (action !== 'put' && action !== 'remove') return null
  if (!Array.isArray(keys) || !keys.every(isKey)) return null
  return { run, table, action, keys }
}

function isKey(value: unknown): value is Key {
  return Array.isArray(value) && value.length > 0 && value.every((part) => typeof part === 'string')
}
