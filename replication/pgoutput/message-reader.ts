import { HomeportError } from '../../core/errors.ts'

// A byte order mark is part of a name; bytes that are no UTF-8 are damage, not a replacement character.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** PGOUTPUT_DAMAGED for a message that cannot be what Postgres sent; names its tag, size and the byte, never a value. */
export function damagedMessage(bytes: Buffer, offset: number, problem: string): HomeportError {
  return new HomeportError(
    'PGOUTPUT_DAMAGED',
    `a pgoutput message ${describeTag(bytes)} of ${bytes.length} bytes is damaged at byte ${offset}: ${problem}`,
    {
      hint:
        'run ops relay again: it asks for the same transaction once more. If it stops at the same place, ' +
        'something between the primary and the relay changes bytes',
    },
  )
}

function describeTag(bytes: Buffer): string {
  const tag = bytes[0]
  if (tag === undefined) return 'without a tag'
  return tag > 0x20 && tag < 0x7f ? `'${String.fromCharCode(tag)}'` : `0x${tag.toString(16).padStart(2, '0')}`
}

/** Reads one message from its start to its end and never past it; every method throws PGOUTPUT_DAMAGED instead. */
export class MessageReader {
  readonly bytes: Buffer
  offset = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  get remaining(): number {
    return this.bytes.length - this.offset
  }

  damage(problem: string, offset = this.offset): HomeportError {
    return damagedMessage(this.bytes, offset, problem)
  }

  /** Where the next `length` bytes start; moves behind them. */
  skip(length: number, what: string): number {
    const start = this.offset
    if (length > this.bytes.length - start) {
      throw this.damage(`${what} takes ${length} bytes, ${this.bytes.length - start} are left`)
    }
    this.offset = start + length
    return start
  }

  byte(what: string): number {
    return this.bytes[this.skip(1, what)]!
  }

  /** A byte of which only the bits of `known` have a meaning. */
  flags(known: number, what: string): number {
    const flags = this.byte(what)
    if ((flags & ~known) !== 0) throw this.damage(`${what} has unknown flags (${flags})`, this.offset - 1)
    return flags
  }

  /** A count of things of at least `bytesEach` bytes; more than the message can hold is damage, before anyone allocates. */
  count16(bytesEach: number, what: string): number {
    return this.#checkCount(this.bytes.readInt16BE(this.skip(2, what)), bytesEach, what, 2)
  }

  /** As {@link count16}, of four bytes. */
  count32(bytesEach: number, what: string): number {
    return this.#checkCount(this.bytes.readInt32BE(this.skip(4, what)), bytesEach, what, 4)
  }

  #checkCount(count: number, bytesEach: number, what: string, width: number): number {
    if (count < 0 || count * bytesEach > this.remaining) {
      throw this.damage(`${what} is ${count}, ${this.remaining} bytes are left for them`, this.offset - width)
    }
    return count
  }

  int32(what: string): number {
    return this.bytes.readInt32BE(this.skip(4, what))
  }

  /** Object and transaction ids, never 0 in a message. */
  id(what: string): number {
    const id = this.bytes.readUInt32BE(this.skip(4, what))
    if (id === 0) throw this.damage(`${what} is 0`, this.offset - 4)
    return id
  }

  /** A log position that must be set. */
  lsn(what: string): bigint {
    const lsn = this.anyLsn(what)
    if (lsn === 0n) throw this.damage(`${what} is 0/0`, this.offset - 8)
    return lsn
  }

  /** A log position, also 0/0. */
  anyLsn(what: string): bigint {
    return this.bytes.readBigUInt64BE(this.skip(8, what))
  }

  /** Microseconds since 2000-01-01. */
  timeUs(what: string): bigint {
    return this.bytes.readBigInt64BE(this.skip(8, what))
  }

  /** Text that ends with a zero byte. */
  text(what: string): string {
    const end = this.bytes.indexOf(0, this.offset)
    if (end === -1) throw this.damage(`${what} has no end`)
    const start = this.offset
    try {
      const text = utf8.decode(this.bytes.subarray(start, end))
      this.offset = end + 1
      return text
    } catch {
      throw this.damage(`${what} is no UTF-8`, start)
    }
  }

  /** The next `length` bytes as a view. */
  view(length: number, what: string): Buffer {
    const start = this.skip(length, what)
    return this.bytes.subarray(start, start + length)
  }

  /** @throws PGOUTPUT_DAMAGED when something is left. */
  end(): void {
    if (this.remaining !== 0) throw this.damage(`${this.remaining} bytes too many`)
  }
}
