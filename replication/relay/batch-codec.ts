import { createHash } from 'node:crypto'
import { HomeportError } from '../../core/errors.ts'
import { parseLsn } from '../../core/lsn.ts'
import type { BatchHeader, BatchPart } from './batch.ts'

const magic = Buffer.from('HPB1', 'latin1')
const checksumBytes = 32

/** Bytes that {@link encodePart} adds to each frame; what a limit on the size of a part has to count. */
export const bytesPerFrame = 4

/**
 * One part of a batch as it travels and lies in the spool, uncompressed: `HPB1`, the length of the header, the
 * header as JSON, each frame with its length before it, sha256 of everything before. Lengths are 32 bits, big endian.
 */
export function encodePart(part: BatchPart): Buffer {
  const header = Buffer.from(JSON.stringify(part.header), 'utf8')
  let size = magic.length + 4 + header.length + checksumBytes
  for (const frame of part.frames) size += bytesPerFrame + frame.length
  const bytes = Buffer.allocUnsafe(size)
  let offset = magic.copy(bytes)
  offset = bytes.writeUInt32BE(header.length, offset)
  offset += header.copy(bytes, offset)
  for (const frame of part.frames) {
    offset = bytes.writeUInt32BE(frame.length, offset)
    offset += frame.copy(bytes, offset)
  }
  checksum(bytes.subarray(0, offset)).copy(bytes, offset)
  return bytes
}

/**
 * What {@link encodePart} made. Frames are views into `bytes` and are not looked at.
 * @throws HomeportError BATCH_DAMAGED when a single byte is not as it was, or the header does not say what it must.
 */
export function decodePart(bytes: Buffer): BatchPart {
  const end = bytes.length - checksumBytes
  if (end < magic.length + 4) throw damaged(`it has ${bytes.length} bytes only`)
  if (!bytes.subarray(0, magic.length).equals(magic)) throw damaged('it does not start as a batch does')
  if (!checksum(bytes.subarray(0, end)).equals(bytes.subarray(end))) {
    throw damaged('its checksum does not fit its content')
  }
  const headerStart = magic.length + 4
  const headerEnd = headerStart + bytes.readUInt32BE(magic.length)
  if (headerEnd > end) throw damaged('its header is longer than itself')
  const header = parseHeader(bytes.toString('utf8', headerStart, headerEnd))
  return { header, frames: readFrames(bytes, headerEnd, end) }
}

function readFrames(bytes: Buffer, start: number, end: number): Buffer[] {
  const frames: Buffer[] = []
  let offset = start
  while (offset < end) {
    const frameStart = offset + bytesPerFrame
    if (frameStart > end) throw damaged(`the length of frame ${frames.length} is cut off`)
    const length = bytes.readUInt32BE(offset)
    if (length > end - frameStart) {
      throw damaged(`frame ${frames.length} claims ${length} bytes, ${end - frameStart} are left`)
    }
    offset = frameStart + length
    frames.push(bytes.subarray(frameStart, offset))
  }
  return frames
}

function checksum(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}

function parseHeader(json: string): BatchHeader {
  let header: unknown
  try {
    header = JSON.parse(json)
  } catch (cause) {
    throw damaged('its header is no JSON', cause)
  }
  if (typeof header !== 'object' || header === null) throw damaged('its header is no object')
  const fields: HeaderFields = header
  return {
    slot: text(fields, 'slot'),
    systemIdentifier: text(fields, 'systemIdentifier'),
    timeline: count(fields, 'timeline'),
    after: lsn(fields, 'after'),
    end: lsn(fields, 'end'),
    commit: lsn(fields, 'commit'),
    transactions: count(fields, 'transactions'),
    rows: count(fields, 'rows'),
    part: count(fields, 'part'),
    isLastPart: boolean(fields, 'isLastPart'),
  }
}

type HeaderFields = Partial<Record<keyof BatchHeader, unknown>>

function text(fields: HeaderFields, name: keyof BatchHeader): string {
  const value = fields[name]
  if (typeof value !== 'string' || value === '') throw damaged(`${name} in its header is no text`)
  return value
}

function count(fields: HeaderFields, name: keyof BatchHeader): number {
  const value = fields[name]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw damaged(`${name} in its header is no count`)
  }
  return value
}

function boolean(fields: HeaderFields, name: keyof BatchHeader): boolean {
  const value = fields[name]
  if (typeof value !== 'boolean') throw damaged(`${name} in its header is neither true nor false`)
  return value
}

function lsn(fields: HeaderFields, name: keyof BatchHeader): string {
  const value = text(fields, name)
  try {
    parseLsn(value)
    return value
  } catch (cause) {
    throw damaged(`${name} in its header is no log position`, cause)
  }
}

function damaged(problem: string, cause?: unknown): HomeportError {
  return new HomeportError('BATCH_DAMAGED', `a batch is damaged: ${problem}`, {
    hint: 'run ops relay again: it sends the batch once more, or says which file of its spool is damaged',
    ...(cause === undefined ? {} : { cause }),
  })
}
