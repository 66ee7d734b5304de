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

/**
 * Of the logical messages that carry a request. Every role of the primary may write one, so it holds no rows, only keys, and
 * whatever it says, the cloud gets nothing but what the primary has.
 */
export const repairPrefix = 'homeport.repair'

/** More keys in one message than ours ever has. */
const maxKeys = 1000

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
  if (!isText(run) || !isText(table)) return null
  if (action !== 'put' && action !== 'remove') return null
  if (!Array.isArray(keys) || keys.length > maxKeys || !keys.every(isKey)) return null
  return { run, table, action, keys }
}

function isKey(value: unknown): value is Key {
  return Array.isArray(value) && value.length > 0 && value.every(isText)
}

/** A text that Postgres can hold, and no longer than a key of an index. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 2000 && !value.includes('\0')
}
