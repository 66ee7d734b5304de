import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { HomeportError } from '../../../core/errors.ts'
import { decodePart } from '../batch-codec.ts'
import type { Batch, BatchPart } from '../batch.ts'
import { explainReadError, spoolDamaged, spoolOfVersion } from './spool-error.ts'
import { sha256, spoolFormat, type SpoolDescription } from './spool-file.ts'

const { preludeBytes } = spoolFormat
const pieceBytes = 1 << 20

/**
 * Reads a file of the spool from end to end, a megabyte at a time, and compares every checksum.
 *
 * @throws HomeportError SPOOL_DAMAGED, which names the file, when a single byte is not what was written;
 *   SPOOL_UNREADABLE when this user may not read it.
 */
export async function verifySpoolFile(
  path: string,
  signal?: AbortSignal,
): Promise<{ description: SpoolDescription; bytes: number }> {
  return withFile(path, async (file) => {
    const { description, offset, bytes } = await readDescription(file, path)
    const hash = createHash('sha256')
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, offset))
    for (let at = preludeBytes; at < offset;) {
      signal?.throwIfAborted()
      const length = Math.min(piece.length, offset - at)
      await readFully(file, path, piece.subarray(0, length), at)
      hash.update(piece.subarray(0, length))
      at += length
    }
    if (hash.digest('hex') !== description.partsSha256)
      throw spoolDamaged(path, 'does not match its checksum')
    return { description, bytes }
  })
}

/**
 * The batch in a file that was verified. Its parts are read and checked one at a time, at every pass anew, and
 * letting go of it keeps the file.
 */
export function batchInFile(path: string, description: SpoolDescription): Batch {
  return {
    slot: description.slot,
    after: description.after,
    end: description.end,
    oldestCommitAt: description.oldestCommitAt,
    parts: () => readParts(path, description),
    release: () => Promise.resolve(),
  }
}

async function* readParts(path: string, expected: SpoolDescription): AsyncGenerator<BatchPart> {
  const file = await openToRead(path)
  try {
    const { description } = await readDescription(file, path)
    if (description.partsSha256 !== expected.partsSha256) throw spoolDamaged(path, 'is another one by now')
    let at: number = preludeBytes
    for (const [place, { gzipBytes, bytes }] of description.parts.entries()) {
      const part = await readPart(file, path, { at, gzipBytes, bytes })
      if (part.header.part !== place || part.header.end !== description.end) {
        throw spoolDamaged(path, `has another part in place ${place}`)
      }
      at += gzipBytes
      yield part
    }
  } catch (error) {
    throw isFromDisk(error) ? explainReadError(path, error) : error
  } finally {
    await file.close()
  }
}

/** Unpacked as it is read: in memory is what the part needs, and a megabyte. */
async function readPart(
  file: FileHandle,
  path: string,
  place: { at: number; gzipBytes: number; bytes: number },
): Promise<BatchPart> {
  const plain = Buffer.allocUnsafeSlow(place.bytes)
  let length = 0
  try {
    await pipeline(
      readPieces(file, path, place),
      createGunzip({ chunkSize: pieceBytes }),
      async (pieces: AsyncIterable<Buffer>) => {
        for await (const piece of pieces) length += piece.copy(plain, length)
      },
    )
    return decodePart(plain.subarray(0, length))
  } catch (cause) {
    if (isFromDisk(cause)) throw explainReadError(path, cause)
    if (cause instanceof HomeportError && cause.code === 'SPOOL_DAMAGED') throw cause
    throw spoolDamaged(path, 'holds a part that cannot be unpacked', cause)
  }
}

async function* readPieces(
  file: FileHandle,
  path: string,
  { at, gzipBytes }: { at: number; gzipBytes: number },
): AsyncGenerator<Buffer> {
  for (let done = 0; done < gzipBytes; done += pieceBytes) {
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, gzipBytes - done))
    await readFully(file, path, piece, at + done)
    yield piece
  }
}

async function readDescription(
  file: FileHandle,
  path: string,
): Promise<{ description: SpoolDescription; offset: number; bytes: number }> {
  const { size } = await file.stat()
  if (size < preludeBytes) throw spoolDamaged(path, 'is cut short')
  const start = Buffer.alloc(preludeBytes)
  await readFully(file, path, start, 0)
  if (start.toString('latin1', 0, 8) !== spoolFormat.magic) throw spoolDamaged(path, 'is no spool file')
  if (!sha256(start.subarray(0, 56)).subarray(0, 8).equals(start.subarray(56))) {
    throw spoolDamaged(path, 'does not match its checksum at its start')
  }
  const version = start.readUInt32BE(8)
  if (version !== spoolFormat.version) throw spoolOfVersion(path, version)
  const offset = Number(start.readBigUInt64BE(16))
  const length = start.readUInt32BE(12)
  if (offset + length !== size) throw spoolDamaged(path, 'is not as long as it says')
  const text = Buffer.alloc(length)
  await readFully(file, path, text, offset)
  if (!sha256(text).equals(start.subarray(24, 56))) throw spoolDamaged(path, 'does not match its checksum')
  // Under two checksums: it is what this program wrote.
  return { description: JSON.parse(text.toString('utf8')) as SpoolDescription, offset, bytes: size }
}

async function readFully(file: FileHandle, path: string, into: Buffer, position: number): Promise<void> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done)
    if (bytesRead === 0) throw spoolDamaged(path, 'is cut short')
    done += bytesRead
  }
}

async function openToRead(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (error) {
    throw explainReadError(path, error)
  }
}

async function withFile<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await openToRead(path)
  try {
    return await work(file)
  } catch (error) {
    throw isFromDisk(error) ? explainReadError(path, error) : error
  } finally {
    await file.close()
  }
}

/** EIO and the like, while an abort keeps its own reason. */
function isFromDisk(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error
}
