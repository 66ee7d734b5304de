import { storable, storableJson } from './storable.ts'

export const copySignature = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
const int4Oid = 23
export const int2Oid = 21
/** Postgres counts time from 2000-01-01. */
const postgresEpochMs = 946_684_800_000

/**
 * Rows in the binary format of COPY (PostgreSQL documentation, COPY, "Binary Format"): no escaping, no
 * number printed and parsed again, vectors bit for bit. Call {@link row} first, then a method a column.
 */
export class CopyEncoder {
  #bytes: Buffer
  #used = 0
  rows = 0

  constructor(sizeBytes = 1 << 18) {
    this.#bytes = Buffer.allocUnsafe(Math.max(sizeBytes, copySignature.length))
    this.#used = copySignature.copy(this.#bytes)
  }

  row(columns: number): this {
    this.rows += 1
    const at = this.#claim(2)
    this.#bytes.writeInt16BE(columns, at)
    return this
  }

  null(): this {
    const at = this.#claim(4)
    this.#bytes.writeInt32BE(-1, at)
    return this
  }

  int8(value: string | bigint): this {
    const at = this.#field(8)
    this.#bytes.writeBigInt64BE(BigInt(value), at)
    return this
  }

  int4(value: number | null): this {
    if (value === null) return this.null()
    const at = this.#field(4)
    this.#bytes.writeInt32BE(value, at)
    return this
  }

  real(value: number | null): this {
    if (value === null) return this.null()
    const at = this.#field(4)
    this.#bytes.writeFloatBE(value, at)
    return this
  }

  timestamp(value: Date | null): this {
    if (value === null) return this.null()
    const micros = BigInt(value.getTime() - postgresEpochMs) * 1000n
    const at = this.#field(8)
    this.#bytes.writeBigInt64BE(micros, at)
    return this
  }

  text(value: string | null): this {
    if (value === null) return this.null()
    const text = storable(value)
    // Three bytes a UTF-16 unit at most; what is not needed is given back.
    const at = this.#claim(4 + text.length * 3)
    const written = this.#bytes.write(text, at + 4, 'utf8')
    this.#bytes.writeInt32BE(written, at)
    this.#used = at + 4 + written
    return this
  }

  jsonb(value: unknown): this {
    const text = Buffer.from(storableJson(value), 'utf8')
    const at = this.#field(text.length + 1)
    this.#bytes[at] = 1
    text.copy(this.#bytes, at + 1)
    return this
  }

  int4Array(values: ArrayLike<number> | null): this {
    if (values === null) return this.null()
    let at = this.#arrayHeader(values.length, 4, int4Oid)
    const bytes = this.#bytes
    for (let i = 0; i < values.length; i += 1) {
      at = bytes.writeInt32BE(4, at)
      at = bytes.writeInt32BE(values[i] ?? 0, at)
    }
    return this
  }

  int2Array(values: ArrayLike<number>): this {
    let at = this.#arrayHeader(values.length, 2, int2Oid)
    const bytes = this.#bytes
    for (let i = 0; i < values.length; i += 1) {
      at = bytes.writeInt32BE(2, at)
      at = bytes.writeInt16BE(values[i] ?? 0, at)
    }
    return this
  }

  /** pgvector's halfvec from half floats as their 16 bits. */
  halfvec(halves: Uint16Array): this {
    let at = this.#field(4 + halves.length * 2)
    const bytes = this.#bytes
    at = bytes.writeInt16BE(halves.length, at)
    at = bytes.writeInt16BE(0, at)
    for (const half of halves) at = bytes.writeUInt16BE(half, at)
    return this
  }

  /** The bytes so far, signature first; the encoder starts a new stream. `last` adds the trailer. */
  take(last: boolean): Buffer {
    if (last) {
      const at = this.#claim(2)
      this.#bytes.writeInt16BE(-1, at)
    }
    const bytes = this.#bytes.subarray(0, this.#used)
    this.#bytes = Buffer.allocUnsafe(this.#bytes.length)
    this.#used = 0
    return bytes
  }

  get usedBytes(): number {
    return this.#used
  }

  #arrayHeader(length: number, elementBytes: number, oid: number): number {
    const dimensions = length === 0 ? 0 : 1
    let at = this.#field(12 + dimensions * 8 + length * (4 + elementBytes))
    at = this.#bytes.writeInt32BE(dimensions, at)
    at = this.#bytes.writeInt32BE(0, at)
    at = this.#bytes.writeInt32BE(oid, at)
    if (dimensions === 0) return at
    at = this.#bytes.writeInt32BE(length, at)
    return this.#bytes.writeInt32BE(1, at)
  }

  #field(length: number): number {
    const at = this.#claim(4 + length)
    this.#bytes.writeInt32BE(length, at)
    return at + 4
  }

  // The buffer may be another one after this: claim first, then write.
  #claim(length: number): number {
    const at = this.#used
    const needed = at + length
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2))
      this.#bytes.copy(grown, 0, 0, at)
      this.#bytes = grown
    }
    this.#used = needed
    return at
  }
}
