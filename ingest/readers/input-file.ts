import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { errorCode } from '../../core/errors.ts'
import { ReadError } from './read-error.ts'

/** A day of word-timed captions is about 10 MB; past this a file is no transcript. */
export const maxFileBytes = 64 * 1024 * 1024

/**
 * The bytes of a regular file of at most `maxBytes`. A larger one is refused by its size, unread.
 * @throws ReadError FILE_UNREADABLE, FILE_TOO_LARGE
 */
export async function readInputFile(path: string, maxBytes = maxFileBytes): Promise<Uint8Array> {
  return withFile(path, async (file) => {
    const { size } = await file.stat()
    if (size > maxBytes) throw tooLarge(path, size, maxBytes)
    // One byte more than the size, so that a file that grows meanwhile is noticed.
    const bytes = await readUpTo(file, size + 1)
    if (bytes.length > size) {
      throw new ReadError('FILE_UNREADABLE', {
        file: path,
        reason: 'the file grew while it was read',
        hint: 'Run again when nothing writes to it.',
      })
    }
    return bytes
  })
}

const pieceBytes = 1 << 18

/**
 * Hands over the bytes of a regular file piece by piece; a piece holds only until the next one comes. A file
 * larger than `maxBytes` is refused by its size, unread, and so is one that has no end (/dev/zero).
 * @throws ReadError FILE_UNREADABLE, FILE_TOO_LARGE
 */
export async function readInputPieces(
  path: string,
  take: (piece: Uint8Array) => void,
  maxBytes = maxFileBytes,
): Promise<void> {
  await withFile(path, async (file) => {
    const { size } = await file.stat()
    if (size > maxBytes) throw tooLarge(path, size, maxBytes)
    const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, size + 1))
    // A file that grows meanwhile is read on; what it became is the next run's.
    for (let at = 0; at <= maxBytes;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at)
      if (bytesRead === 0) return
      take(buffer.subarray(0, bytesRead))
      at += bytesRead
    }
  })
}

/** At most the first `maxBytes` of a regular file. @throws ReadError FILE_UNREADABLE */
export async function readFileStart(path: string, maxBytes: number): Promise<Uint8Array> {
  return withFile(path, (file) => readUpTo(file, maxBytes))
}

async function withFile<Result>(path: string, read: (file: FileHandle) => Promise<Result>): Promise<Result> {
  let file: FileHandle
  try {
    // O_NONBLOCK: opening a named pipe nobody writes to must not hang; it is refused below.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    throw unreadable(path, error)
  }
  try {
    const stat = await file.stat()
    if (!stat.isFile()) {
      throw new ReadError('FILE_UNREADABLE', { file: path, reason: 'it is not a regular file' })
    }
    return await read(file)
  } catch (error) {
    throw error instanceof ReadError ? error : unreadable(path, error)
  } finally {
    await file.close()
  }
}

async function readUpTo(file: FileHandle, maxBytes: number): Promise<Uint8Array> {
  const { size } = await file.stat()
  const buffer = Buffer.allocUnsafe(Math.min(maxBytes, size + 1))
  let length = 0
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return buffer.subarray(0, length)
}

function tooLarge(path: string, size: number, maxBytes: number): ReadError {
  return new ReadError('FILE_TOO_LARGE', {
    file: path,
    reason: `it has ${Math.ceil(size / 1024 / 1024)} MB, more than the ${Math.floor(maxBytes / 1024 / 1024)} MB a transcript may have`,
    hint: 'Check that it is a transcript; split it if it is.',
  })
}

const systemReasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder',
  ELOOP: 'too many symbolic links',
  ENOTDIR: 'a part of its path is not a folder',
}

/** The plain-word reason of a failed file operation. */
export function systemReason(error: unknown): string {
  const code = errorCode(error)
  return (code === undefined ? undefined : systemReasons[code]) ?? `it cannot be read (${code ?? 'unknown'})`
}

function unreadable(path: string, error: unknown): ReadError {
  return new ReadError('FILE_UNREADABLE', { file: path, reason: systemReason(error), cause: error })
}
