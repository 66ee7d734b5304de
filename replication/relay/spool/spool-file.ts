import { createHash } from 'node:crypto'
import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { constants, createGzip } from 'node:zlib'
import { HomeportError } from '../../../core/errors.ts'
import { failpoint } from '../../../core/failpoint.ts'
import { encodePart } from '../batch-codec.ts'
import type { Batch, BatchHeader } from '../batch.ts'
import { halfWritten, syncFolder } from './spool-folder.ts'

/**
 * A file of the spool, integers big endian, every byte under a checksum:
 *   0 magic (8)  8 version (u32)  12 length of the description (u32)  16 offset of the description (u64)
 *   24 sha256 of the description (32)  56 first 8 bytes of the sha256 of the 56 before
 *   64 the encoded parts, each a gzip member, then the description, as JSON
 */
export const spoolFormat = { magic: 'HPSPOOL\0', version: 1, preludeBytes: 64 } as const

/** What a file says about the batch in it. */
export interface SpoolDescription {
  sequence: number
  slot: string
  systemIdentifier: string
  timeline: number
  after: string
  end: string
  oldestCommitAt: string | null
  /** how long each part is, as gzip and as it was */
  parts: readonly { gzipBytes: number; bytes: number }[]
  /** of all bytes between prelude and description */
  partsSha256: string
}

export interface WriteSpoolFileOptions {
  path: string
  sequence: number
  batch: Batch
  /** Asked before a piece is written. Throws when there is no room for it. */
  reserve: (room: { pieceBytes: number; fileBytes: number }) => Promise<void>
}

// Vectors hardly shrink and words shrink well at the first level; large chunks save calls.
const compression = { level: constants.Z_BEST_SPEED, chunkSize: 1 << 20 }

/**
 * Writes a batch, a part at a time, into a file beside `path`, makes it durable and gives it its name. When
 * it returns, no crash takes the batch away; when it throws, nothing may be acknowledged and no half is left.
 *
 * @returns the description and the size of the file
 */
export async function writeSpoolFile(
  options: WriteSpoolFileOptions,
): Promise<{ description: SpoolDescription; bytes: number }> {
  const { path } = options
  const aside = `${path}${halfWritten}`
  try {
    const file = await open(aside, 'w', 0o600)
    let written: { description: SpoolDescription; bytes: number }
    try {
      written = await writeAll(file, options)
      await failpoint('spool.before-fsync')
      // A failed fsync is never asked again: the system may have dropped the pages. The file is thrown away.
      await file.sync()
    } finally {
      await file.close()
    }
    await failpoint('spool.after-fsync')
    await rename(aside, path)
    await syncFolder(dirname(path))
    return written
  } catch (error) {
    // Should that fail as well: a half is removed when the spool is opened, a whole one fits its chain.
    for (const left of [aside, path]) await rm(left, { force: true }).catch(() => undefined)
    throw error
  }
}

async function writeAll(
  file: FileHandle,
  { sequence, batch, reserve }: WriteSpoolFileOptions,
): Promise<{ description: SpoolDescription; bytes: number }> {
  const hash = createHash('sha256')
  const parts: { gzipBytes: number; bytes: number }[] = []
  let offset: number = spoolFormat.preludeBytes
  let last: BatchHeader | undefined
  for await (const part of batch.parts()) {
    checkOrder(batch, part.header, parts.length, last)
    last = part.header
    const start = offset
    const encoded = encodePart(part)
    for await (const piece of compress(encoded)) {
      await reserve({ pieceBytes: piece.length, fileBytes: offset + piece.length })
      hash.update(piece)
      await writeFully(file, piece, offset)
      offset += piece.length
    }
    parts.push({ gzipBytes: offset - start, bytes: encoded.length })
  }
  if (last?.isLastPart !== true) throw notWhole(batch, `it ends after ${parts.length} parts`)
  const description: SpoolDescription = {
    sequence,
    slot: batch.slot,
    systemIdentifier: last.systemIdentifier,
    timeline: last.timeline,
    after: batch.after,
    end: batch.end,
    oldestCommitAt: batch.oldestCommitAt,
    parts,
    partsSha256: hash.digest('hex'),
  }
  const text = Buffer.from(JSON.stringify(description), 'utf8')
  await writeFully(file, text, offset)
  await writeFully(file, prelude(text, offset), 0)
  return { description, bytes: offset + text.length }
}

function compress(encoded: Buffer): AsyncIterable<Buffer> {
  const gzip = createGzip(compression)
  gzip.end(encoded)
  return gzip
}

function prelude(description: Buffer, offset: number): Buffer {
  const bytes = Buffer.alloc(spoolFormat.preludeBytes)
  bytes.write(spoolFormat.magic, 0, 'latin1')
  bytes.writeUInt32BE(spoolFormat.version, 8)
  bytes.writeUInt32BE(description.length, 12)
  bytes.writeBigUInt64BE(BigInt(offset), 16)
  sha256(description).copy(bytes, 24)
  sha256(bytes.subarray(0, 56)).copy(bytes, 56, 0, 8)
  return bytes
}

/** A disk that is nearly full takes a part of a write without an error, and refuses the next. */
async function writeFully(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}

function checkOrder(batch: Batch, header: BatchHeader, place: number, before: BatchHeader | undefined): void {
  if (header.slot !== batch.slot || header.after !== batch.after || header.end !== batch.end) {
    throw notWhole(batch, `part ${place} is of the batch ${header.after} to ${header.end} of ${header.slot}`)
  }
  if (header.part !== place || before?.isLastPart === true) {
    throw notWhole(batch, `part ${header.part} comes in place ${place}`)
  }
}

function notWhole(batch: Batch, reason: string): HomeportError {
  return new HomeportError(
    'BATCH_DAMAGED',
    `the batch ${batch.after} to ${batch.end} of ${batch.slot} is not whole: ${reason}`,
    { hint: 'run ops relay again: the slot sends it once more' },
  )
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
