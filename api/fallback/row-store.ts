import type { Turn } from '../search/engine.ts'
import { Column } from './column.ts'

/** What is kept of a segment to show it; its source stands once, elsewhere. */
export interface StoredRow {
  sourceId: string
  startMs: number | null
  endMs: number | null
  chapter: string | null
  speaker: string | null
  text: string
  turns: readonly Turn[]
  wordStartsMs: readonly number[] | null
}

const blockBytes = 4 << 20

/**
 * Rows as bytes: their fields as JSON in UTF-8, then the words' starts as differences of one or two bytes
 * each. Decoded only for a hit. About 1.7 KB for 220 words, of which 1.3 are the text.
 */
export class RowStore {
  readonly #blocks: Buffer[] = []
  #used = blockBytes
  readonly #block = new Column((length) => new Uint32Array(length))
  readonly #offset = new Column((length) => new Uint32Array(length))
  readonly #length = new Column((length) => new Uint32Array(length))

  get rows(): number {
    return this.#length.length
  }

  /** Bytes of all rows. */
  get byteLength(): number {
    return this.#length.view().reduce((sum, length) => sum + length, 0)
  }

  push(encoded: Uint8Array): void {
    if (this.#used + encoded.length > (this.#blocks.at(-1)?.length ?? 0)) {
      this.#blocks.push(Buffer.allocUnsafeSlow(Math.max(blockBytes, encoded.length)))
      this.#used = 0
    }
    this.#blocks.at(-1)!.set(encoded, this.#used)
    this.#place(this.#used, encoded.length)
    this.#used += encoded.length
  }

  /** Takes rows that lie one after the other in one buffer, without copying. */
  adopt(bytes: Buffer, lengths: Uint32Array): void {
    this.#blocks.push(bytes)
    let offset = 0
    for (const length of lengths) {
      this.#place(offset, length)
      offset += length
    }
    this.#used = bytes.length
  }

  bytes(row: number): Buffer {
    const offset = this.#offset.values[row]!
    return this.#blocks[this.#block.values[row]!]!.subarray(offset, offset + this.#length.values[row]!)
  }

  lengths(): Uint32Array {
    return this.#length.view()
  }

  read(row: number): StoredRow {
    return decodeRow(this.bytes(row))
  }

  #place(offset: number, length: number): void {
    this.#block.push(this.#blocks.length - 1)
    this.#offset.push(offset)
    this.#length.push(length)
  }
}

type Fields = [string, number | null, number | null, string | null, string | null, string, readonly Turn[]]

export function encodeRow(row: StoredRow): Buffer {
  const fields: Fields = [
    row.sourceId,
    row.startMs,
    row.endMs,
    row.chapter,
    row.speaker,
    row.text,
    row.turns.map(({ speaker, offset, startMs }) => ({ speaker, offset, startMs })),
  ]
  const json = Buffer.from(JSON.stringify(fields))
  const numbers = [json.length, row.wordStartsMs === null ? 0 : row.wordStartsMs.length + 1]
  let previous = 0
  for (const start of row.wordStartsMs ?? []) {
    // Zigzag: a word may be said to start before the one in front of it.
    const step = start - previous
    numbers.push(step >= 0 ? step * 2 : -step * 2 - 1)
    previous = start
  }
  const [lengthOfJson, ...rest] = numbers
  return Buffer.concat([varints([lengthOfJson!]), json, varints(rest)])
}

export function decodeRow(bytes: Buffer): StoredRow {
  const reader = new VarintReader(bytes)
  const jsonLength = reader.next()
  const jsonEnd = reader.at + jsonLength
  const [sourceId, startMs, endMs, chapter, speaker, text, turns] = JSON.parse(
    bytes.toString('utf8', reader.at, jsonEnd),
  ) as Fields
  reader.at = jsonEnd
  const words = reader.next()
  let previous = 0
  const starts: number[] = []
  for (let word = 1; word < words; word++) {
    const step = reader.next()
    previous += step % 2 === 0 ? step / 2 : -(step + 1) / 2
    starts.push(previous)
  }
  return {
    sourceId,
    startMs,
    endMs,
    chapter,
    speaker,
    text,
    turns,
    wordStartsMs: words === 0 ? null : starts,
  }
}

/** Seven bits a byte, the lowest first; the top bit says that more follow. */
function varints(numbers: readonly number[]): Buffer {
  const bytes: number[] = []
  for (const number of numbers) {
    let left = number
    while (left >= 0x80) {
      bytes.push((left % 0x80) | 0x80)
      left = Math.floor(left / 0x80)
    }
    bytes.push(left)
  }
  return Buffer.from(bytes)
}

class VarintReader {
  at = 0
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  next(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.#bytes.readUInt8(this.at++)
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
  }
}
