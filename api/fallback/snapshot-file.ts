import { createHash } from 'node:crypto'
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import { endianness } from 'node:os'
import { dirname } from 'node:path'
import { HomeportError, errorCode } from '../../core/errors.ts'

// Prelude, sections one after the other, manifest (JSON). Every byte is under a checksum:
//   0 magic (8)  8 version (u32)  12 manifest's length (u32)  16 manifest's offset (u64)
//   24 sha256 of the manifest (32)  56 first 8 bytes of the sha256 of the 56 before
const magic = 'HOMEPORT'
const version = 1
const preludeBytes = 64
const pieceBytes = 4 << 20

interface Manifest {
  byteOrder: string
  sections: { name: string; length: number; sha256: string }[]
  /** What the caller keeps beside the sections. */
  facts: unknown
}

export interface Section {
  name: string
  /** In order; what they hold must not change while they are written. */
  chunks: Iterable<Uint8Array>
}

export interface SnapshotFile {
  facts: unknown
  /** The bytes of a section, in memory of their own. @throws HomeportError SNAPSHOT_REFUSED when there is none */
  section(name: string): Buffer
}

/**
 * Writes a file aside in the same folder, makes it durable and puts it in the place of the old one. A crash
 * at any moment leaves the old file or the new one, whole.
 */
export async function writeSnapshotFile(
  path: string,
  sections: readonly Section[],
  facts: unknown,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const aside = `${path}.writing-${process.pid}`
  try {
    const file = await open(aside, 'w', 0o600)
    try {
      await writeAll(file, sections, facts)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(aside, path)
  } catch (error) {
    await rm(aside, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

async function writeAll(file: FileHandle, sections: readonly Section[], facts: unknown): Promise<void> {
  const manifest: Manifest = { byteOrder: endianness(), sections: [], facts }
  let offset = preludeBytes
  for (const { name, chunks } of sections) {
    const hash = createHash('sha256')
    let length = 0
    for (const pieces of gather(chunks)) {
      for (const piece of pieces) hash.update(piece)
      const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
      await writeFully(file, pieces, offset + length)
      length += bytes
    }
    manifest.sections.push({ name, length, sha256: hash.digest('hex') })
    offset += length
  }
  const text = Buffer.from(JSON.stringify(manifest))
  await writeFully(file, [text], offset)
  await writeFully(file, [prelude(text, offset)], 0)
}

function prelude(manifest: Buffer, offset: number): Buffer {
  const bytes = Buffer.alloc(preludeBytes)
  bytes.write(magic, 0, 'latin1')
  bytes.writeUInt32LE(version, 8)
  bytes.writeUInt32LE(manifest.length, 12)
  bytes.writeBigUInt64LE(BigInt(offset), 16)
  sha256(manifest).copy(bytes, 24)
  sha256(bytes.subarray(0, 56)).copy(bytes, 56, 0, 8)
  return bytes
}

/** Small chunks together and large ones apart, so that neither a write nor a hash takes long. */
function* gather(chunks: Iterable<Uint8Array>): Generator<Uint8Array[]> {
  let pieces: Uint8Array[] = []
  let bytes = 0
  for (const chunk of chunks) {
    for (let from = 0; from < chunk.length; from += pieceBytes) {
      const piece = chunk.subarray(from, from + pieceBytes)
      pieces.push(piece)
      bytes += piece.length
      // The system takes at most 1,024 buffers a call.
      if (bytes < pieceBytes && pieces.length < 1000) continue
      yield pieces
      pieces = []
      bytes = 0
    }
  }
  if (pieces.length > 0) yield pieces
}

async function writeFully(file: FileHandle, pieces: Uint8Array[], position: number): Promise<void> {
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
  const { bytesWritten } = await file.writev(pieces, position)
  if (bytesWritten !== bytes)
    throw new HomeportError('SNAPSHOT_WRITE', 'the disk took only a part of the snapshot')
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Reads a file that {@link writeSnapshotFile} wrote; undefined when there is none.
 *
 * @throws HomeportError SNAPSHOT_REFUSED when any byte of it is not what was written.
 */
export async function readSnapshotFile(path: string): Promise<SnapshotFile | undefined> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw refused(`it cannot be opened (${errorCode(error)})`, error)
  }
  try {
    return await readAll(file)
  } catch (error) {
    throw error instanceof HomeportError ? error : refused(`it cannot be read (${errorCode(error)})`, error)
  } finally {
    await file.close()
  }
}

async function readAll(file: FileHandle): Promise<SnapshotFile> {
  const { size } = await file.stat()
  const manifest = await readManifest(file, size)
  const sections = new Map<string, Buffer>()
  let offset = preludeBytes
  for (const { name, length, sha256: expected } of manifest.sections) {
    const { bytes, sha256: found } = await readHashed(file, offset, length)
    if (found !== expected) throw refused(`its part ${name} does not match its checksum`)
    sections.set(name, bytes)
    offset += length
  }
  return {
    facts: manifest.facts,
    section(name) {
      const bytes = sections.get(name)
      if (bytes === undefined) throw refused(`its part ${name} is missing`)
      return bytes
    },
  }
}

async function readManifest(file: FileHandle, size: number): Promise<Manifest> {
  if (size < preludeBytes) throw refused('it is cut short')
  const { bytes: start } = await readHashed(file, 0, preludeBytes)
  if (start.toString('latin1', 0, 8) !== magic) throw refused('it is no snapshot')
  if (start.readUInt32LE(8) !== version)
    throw refused(`it is of version ${start.readUInt32LE(8)}, not ${version}`)
  if (!sha256(start.subarray(0, 56)).subarray(0, 8).equals(start.subarray(56))) {
    throw refused('its first bytes do not match their checksum')
  }
  const length = start.readUInt32LE(12)
  const offset = Number(start.readBigUInt64LE(16))
  if (offset + length !== size) throw refused('it is not as long as it says')
  const manifest = await readHashed(file, offset, length)
  if (manifest.sha256 !== start.toString('hex', 24, 56))
    throw refused('its manifest does not match its checksum')
  const parsed = JSON.parse(manifest.bytes.toString('utf8')) as Manifest
  if (parsed.byteOrder !== endianness()) throw refused('it was written on a machine of another byte order')
  const total = parsed.sections.reduce((sum, section) => sum + section.length, preludeBytes)
  if (total !== offset) throw refused('its parts do not fill it')
  return parsed
}

async function readHashed(
  file: FileHandle,
  offset: number,
  length: number,
): Promise<{ bytes: Buffer; sha256: string }> {
  const bytes = Buffer.allocUnsafeSlow(length)
  const hash = createHash('sha256')
  for (let at = 0; at < length;) {
    const { bytesRead } = await file.read(bytes, at, Math.min(pieceBytes, length - at), offset + at)
    if (bytesRead === 0) throw refused('it is cut short')
    hash.update(bytes.subarray(at, at + bytesRead))
    at += bytesRead
  }
  return { bytes, sha256: hash.digest('hex') }
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}

/** A snapshot that will not be used. */
export function refused(reason: string, cause?: unknown): HomeportError {
  return new HomeportError('SNAPSHOT_REFUSED', `the snapshot is not used: ${reason}`, {
    hint: 'it is written anew as soon as the cloud database answers',
    ...(cause === undefined ? {} : { cause }),
  })
}
