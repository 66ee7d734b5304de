import { closeSync, openSync, writeSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { errorCode, HomeportError } from '../../../core/errors.ts'

const bufferBytes = 256 * 1024
const readBytes = 1024 * 1024

/**
 * Frames of one transaction on disk, each with its length before it. Written in the order they arrive, without
 * waiting: the page cache takes them, and a stream that waits for a disk would let memory grow. Not fsynced: after a
 * crash the primary sends the transaction again.
 */
export class SpillFile {
  readonly #path: string
  #descriptor: number | null
  readonly #buffer = Buffer.allocUnsafeSlow(bufferBytes)
  #buffered = 0
  #written = 0

  /** @throws HomeportError SPILL_FAILED. */
  constructor(path: string) {
    this.#path = path
    this.#descriptor = attempt(path, () => openSync(path, 'wx', 0o600))
  }

  /** Bytes in it, lengths included. */
  get bytes(): number {
    return this.#written + this.#buffered
  }

  /** @throws HomeportError SPILL_FAILED, as when the disk is full. */
  append(frame: Buffer): void {
    const size = 4 + frame.length
    if (this.#buffered + size > bufferBytes) this.#flush()
    if (size > bufferBytes) {
      const length = Buffer.allocUnsafe(4)
      length.writeUInt32BE(frame.length)
      this.#write(length)
      this.#write(frame)
      return
    }
    this.#buffered = this.#buffer.writeUInt32BE(frame.length, this.#buffered)
    this.#buffered += frame.copy(this.#buffer, this.#buffered)
  }

  /** Forgets everything from this position on, where a frame begins. */
  truncate(bytes: number): void {
    if (bytes >= this.#written) {
      this.#buffered = bytes - this.#written
      return
    }
    this.#buffered = 0
    // What lies behind is overwritten, or never read.
    this.#written = bytes
  }

  /** Nothing is appended any more. */
  seal(): void {
    if (this.#descriptor === null) return
    this.#flush()
    closeSync(this.#descriptor)
    this.#descriptor = null
  }

  /**
   * A pass over the frames, in groups of about a megabyte. They are views into memory of their own.
   * @throws HomeportError SPILL_FAILED when the file is gone or is not what was written.
   */
  async *read(): AsyncGenerator<Buffer[]> {
    this.seal()
    const file = await open(this.#path, 'r').catch((error: unknown) => {
      throw spillFailed(this.#path, error)
    })
    try {
      let position = 0
      let rest: Buffer = Buffer.alloc(0)
      while (position < this.#written) {
        const wanted = Math.min(Math.max(readBytes, missingBytes(rest)), this.#written - position)
        const chunk = Buffer.allocUnsafeSlow(rest.length + wanted)
        rest.copy(chunk)
        await this.#readFully(file, chunk, rest.length, position)
        position += wanted
        const { frames, used } = splitFrames(chunk)
        rest = chunk.subarray(used)
        if (frames.length > 0) yield frames
      }
      if (rest.length > 0) throw spillFailed(this.#path, undefined)
    } finally {
      await file.close()
    }
  }

  /** Removes the file; a pass that is under way goes on. */
  async remove(): Promise<void> {
    if (this.#descriptor !== null) closeSync(this.#descriptor)
    this.#descriptor = null
    await rm(this.#path, { force: true })
  }

  #flush(): void {
    if (this.#buffered === 0) return
    this.#write(this.#buffer.subarray(0, this.#buffered))
    this.#buffered = 0
  }

  #write(bytes: Buffer): void {
    const descriptor = this.#descriptor
    if (descriptor === null) throw new Error('a sealed spill file is not written')
    let offset = 0
    while (offset < bytes.length) {
      offset += attempt(this.#path, () =>
        writeSync(descriptor, bytes, offset, bytes.length - offset, this.#written + offset),
      )
    }
    this.#written += bytes.length
  }

  async #readFully(
    file: Awaited<ReturnType<typeof open>>,
    into: Buffer,
    offset: number,
    position: number,
  ): Promise<void> {
    let done = 0
    while (offset + done < into.length) {
      const { bytesRead } = await file.read(into, offset + done, into.length - offset - done, position + done)
      if (bytesRead === 0) throw spillFailed(this.#path, undefined)
      done += bytesRead
    }
  }
}

/** How much of the next frame is still to be read. */
function missingBytes(rest: Buffer): number {
  return rest.length < 4 ? 4 : 4 + rest.readUInt32BE(0) - rest.length
}

function splitFrames(chunk: Buffer): { frames: Buffer[]; used: number } {
  const frames: Buffer[] = []
  let used = 0
  while (used + 4 <= chunk.length) {
    const end = used + 4 + chunk.readUInt32BE(used)
    if (end > chunk.length) break
    frames.push(chunk.subarray(used + 4, end))
    used = end
  }
  return { frames, used }
}

function attempt<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw spillFailed(path, error)
  }
}

function spillFailed(path: string, cause: unknown): HomeportError {
  const code = errorCode(cause)
  const problem = code === undefined ? 'it is not as it was written' : code
  return new HomeportError('SPILL_FAILED', `a large transaction cannot be kept in ${path}: ${problem}`, {
    hint:
      code === 'ENOSPC'
        ? 'free space there, or set RELAY_STATE_PATH to a larger disk'
        : 'look at the disk and the rights of RELAY_STATE_PATH, then run ops relay again',
    ...(cause === undefined ? {} : { cause }),
  })
}
