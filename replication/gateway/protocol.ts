import type { Applied, FetchedRow, Lease, NeedRows, SeedRange } from '../relay/cloud-link.ts'

/** Where the gateway answers; the relay's side builds its requests from the same list. */
export const gatewayPaths = {
  token: '/v1/token',
  cloud: '/v1/cloud',
  lease: '/v1/lease',
  renewal: '/v1/lease/renewal',
  progress: '/v1/progress',
  report: '/v1/report',
  batches: '/v1/batches',
  seed: '/v1/seed',
  seedRanges: '/v1/seed/ranges',
  seedCopy: '/v1/seed/copy',
  seedEnd: '/v1/seed/end',
} as const

export const mediaTypes = {
  json: 'application/json',
  /** an envelope whose content is one encoded part of a batch */
  batch: 'application/vnd.homeport.batch',
  /** an envelope whose content is a binary COPY */
  copy: 'application/vnd.homeport.copy',
} as const

/** The most bytes of one request body after it was unpacked: a part of 16 MB and one row of three times that. */
export const maxBodyBytes = 64 * 1024 * 1024

/** The most bytes of the instructions before a COPY. */
export const maxCopyInstructionsBytes = 64 * 1024

/** What comes with a part of a batch. */
export interface BatchInstructions {
  lease: Lease
  quarantine: boolean
  /** sha256, as in their last 32 bytes, of the parts before this one: a batch is never put together from two cuts */
  parts: readonly string[]
  /** with the last part: the rows that an earlier answer asked for */
  fetched: readonly FetchedRow[] | null
}

/** What comes before the rows of a range. */
export interface CopyInstructions {
  slot: string
  range: Pick<SeedRange, 'table' | 'number' | 'from' | 'to'>
  columns: readonly string[]
  snapshotLsn: string
}

/** The answer to a part of a batch, and to the question how it is getting on. */
export type BatchAnswer =
  | Applied
  | NeedRows
  /** kept until the last part comes */
  | { kind: 'staged'; part: number }
  /** not done yet: ask again with this id */
  | { kind: 'working'; batch: string }

/** The head of an envelope: the length of the instructions in 4 bytes, big endian, and they as JSON. The content follows. */
export function encodeEnvelopeHead(instructions: BatchInstructions | CopyInstructions): Buffer {
  const json = Buffer.from(JSON.stringify(instructions), 'utf8')
  const head = Buffer.allocUnsafe(4 + json.length)
  head.writeUInt32BE(json.length)
  json.copy(head, 4)
  return head
}
