import { createHash } from 'node:crypto'
import type { Key, KeyRange } from './row-hash.ts'

/** A range of keys whose rows were hashed on both sides, and were the same. */
export interface KeptRange extends KeyRange {
  /** on each side */
  rows: number
  /** when they were hashed, in milliseconds since 1970 */
  at: number
}

/** One side in the snapshot in which all ranges of a file were the same. */
export interface SideMoment {
  /** null where the role may not read it */
  systemIdentifier: string | null
  databaseOid: string
  /** of the server, seconds since 1970 with microseconds */
  startedAt: string
  timeline: string
  /** what the table is made of and where it lies; null where its rows may change without being written */
  layout: string | null
  /** 64 bits: every transaction before it had ended */
  xmin: string
  /** of the server's log: everything that the snapshot shows lies before it */
  lsn: string
}

/** What the ranges of a file are true of. */
export interface CheckpointHead {
  version: typeof checkpointVersion
  /** random: no line of another file fits */
  id: string
  /** what of each row was hashed, and how */
  definition: string
  primary: SideMoment
  cloud: SideMoment
}

export const checkpointVersion = 1

export interface CheckpointText {
  head: CheckpointHead
  ranges: KeptRange[]
  /** lines that cannot be read, but for a last one that was cut off */
  damaged: number
}

/** Pure: how a file begins; each line ends with a checksum, so that none that is torn or garbled is believed. */
export function formatHead(head: CheckpointHead): string {
  return seal('', JSON.stringify(head))
}

/** Pure: a line a range, for the file whose head has this id. */
export function formatRanges(id: string, ranges: readonly KeptRange[]): string {
  return ranges.map(({ from, to, rows, at }) => seal(id, JSON.stringify({ from, to, rows, at }))).join('')
}

/** Pure: what a file says; null where its first line cannot be read, or is of another version. */
export function parseCheckpoint(text: string): CheckpointText | null {
  const [first = '', ...lines] = text.split('\n')
  const head = open('', first)
  if (!isHead(head)) return null
  // What follows the last newline: nothing, or what a crash has cut off.
  lines.pop()
  const values = lines.map((line) => open(head.id, line))
  const ranges = values.filter(isRange)
  return { head, ranges, damaged: values.length - ranges.length }
}

function seal(id: string, json: string): string {
  return `${json} ${checksum(id, json)}\n`
}

function open(id: string, line: string): unknown {
  const at = line.lastIndexOf(' ')
  const json = line.slice(0, Math.max(at, 0))
  if (line.slice(at + 1) !== checksum(id, json)) return undefined
  return JSON.parse(json) as unknown
}

function checksum(id: string, json: string): string {
  return createHash('sha256').update(id).update(json).digest('hex').slice(0, 16)
}

function isHead(value: unknown): value is CheckpointHead {
  return (
    typeof value === 'object' && value !== null && 'version' in value && value.version === checkpointVersion
  )
}

function isRange(value: unknown): value is KeptRange {
  if (typeof value !== 'object' || value === null) return false
  const { from, to, rows, at } = value as Partial<KeptRange>
  return isEnd(from) && isEnd(to) && Number.isSafeInteger(rows) && Number.isFinite(at)
}

function isEnd(value: unknown): value is Key | null {
  return value === null || (Array.isArray(value) && value.every((one) => typeof one === 'string'))
}
