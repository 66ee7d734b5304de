import { copySignature, int2Oid } from './copy-encoder.ts'

/** A row's columns; null for null. Views into the bytes that were pushed. */
export type CopyFields = readonly (Buffer | null)[]

/** Reads the binary format of COPY row by row, whatever the borders of the chunks it arrives in. */
export class CopyDecoder {
  #rest: Buffer = Buffer.alloc(0)
  #started = false

  /** The rows that `chunk` completes. */
  push(chunk: Buffer): CopyFields[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = bytes
    if (!this.#started && bytes.length < copySignature.length) return []
    let at = this.#started ? 0 : copySignature.length
    this.#started = true
    const rows: CopyFields[] = []
    for (let end = readRow(bytes, at, rows); end !== undefined; end = readRow(bytes, at, rows)) at = end
    this.#rest = bytes.subarray(at)
    return rows
  }
}

/** The offset behind the row at `at`, or undefined when it is not all there (or is the trailer). */
function readRow(bytes: Buffer, at: number, rows: CopyFields[]): number | undefined {
  if (at + 2 > bytes.length) return undefined
  const columns = bytes.readInt16BE(at)
  if (columns < 0) return undefined
  const fields: (Buffer | null)[] = []
  let next = at + 2
  for (let column = 0; column < columns; column += 1) {
    if (next + 4 > bytes.length) return undefined
    const length = bytes.readInt32BE(next)
    next += 4
    if (length >= 0 && next + length > bytes.length) return undefined
    fields.push(length < 0 ? null : bytes.subarray(next, next + length))
    next += Math.max(length, 0)
  }
  rows.push(fields)
  return next
}

/** A binary int4[] or int2[] of one dimension. */
export function decodeIntArray(field: Buffer): Int32Array {
  if (field.readInt32BE(0) === 0) return new Int32Array(0)
  const length = field.readInt32BE(12)
  const elementBytes = field.readInt32BE(8) === int2Oid ? 2 : 4
  const values = new Int32Array(length)
  let at = 20
  for (let i = 0; i < length; i += 1) {
    values[i] = elementBytes === 2 ? field.readInt16BE(at + 4) : field.readInt32BE(at + 4)
    at += 4 + elementBytes
  }
  return values
}
