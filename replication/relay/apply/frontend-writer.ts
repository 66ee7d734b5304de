import { columnKind, type Tuple } from '../../pgoutput/messages.ts'
import type { RowStatement } from './table-shape.ts'

const chunkBytes = 128 * 1024
const copySignature = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')

/** A row before and after; what its statement does not name may be missing. */
export interface RowTuples {
  old: Tuple | null
  row: Tuple | null
}

/**
 * Messages of the extended query protocol (PostgreSQL documentation, "Message Formats"), written one after the
 * other into large chunks that go to `send`. Values of rows are copied byte by byte, in the format they came in.
 */
export class FrontendWriter {
  readonly #send: (chunk: Buffer) => void
  #chunk: Buffer = Buffer.allocUnsafe(chunkBytes)
  #used = 0

  constructor(send: (chunk: Buffer) => void) {
    this.#send = send
  }

  /** Hands over what is there. */
  push(): void {
    if (this.#used === 0) return
    const written = this.#chunk.subarray(0, this.#used)
    // A few bytes are not worth a chunk of their own.
    if (written.length < chunkBytes / 16) this.#send(Buffer.from(written))
    else {
      this.#send(written)
      this.#chunk = Buffer.allocUnsafe(chunkBytes)
    }
    this.#used = 0
  }

  /** The unnamed statement; the server infers the types of its parameters. */
  parse(text: string): void {
    const bytes = Buffer.from(text, 'utf8')
    let at = this.#message('P', bytes.length + 4)
    this.#chunk[at++] = 0
    at += bytes.copy(this.#chunk, at)
    this.#chunk.fill(0, at, at + 3)
  }

  /** Parameters as text. */
  bindTexts(values: readonly (string | null)[]): void {
    const bytes = values.map((value) => (value === null ? null : Buffer.from(value, 'utf8')))
    let at = this.#message(
      'B',
      bytes.reduce((sum, value) => sum + 4 + (value?.length ?? 0), 8),
    )
    // portal, statement, formats: all text
    at = this.#chunk.writeUInt32BE(0, at)
    at = this.#chunk.writeInt16BE(bytes.length, at)
    for (const value of bytes) at = this.#value(value, at)
    this.#chunk.writeInt16BE(0, at)
  }

  /** Parameters from the columns of a row. */
  bindRow(statement: RowStatement, old: Tuple | null, row: Tuple | null): void {
    const { parameters } = statement
    const count = parameters.length
    let length = 8 + 2 * count
    for (let index = 0; index < count; index++) {
      const { isOld, column } = parameters[index]!
      length += 4 + ((isOld ? old : row)?.values[column]?.length ?? 0)
    }
    let at = this.#message('B', length)
    const chunk = this.#chunk
    at = chunk.writeUInt16BE(0, at)
    at = chunk.writeInt16BE(count, at)
    for (let index = 0; index < count; index++) {
      const { isOld, column } = parameters[index]!
      const isBinary = (isOld ? old : row)?.kinds[column] === columnKind.binary
      at = chunk.writeInt16BE(isBinary ? 1 : 0, at)
    }
    at = chunk.writeInt16BE(count, at)
    for (let index = 0; index < count; index++) {
      const { isOld, column } = parameters[index]!
      at = this.#value((isOld ? old : row)?.values[column] ?? null, at)
    }
    chunk.writeInt16BE(0, at)
  }

  /** Parameters from the columns of several rows, one row after the other, all of them bytes or null. */
  bindRun({ parameters }: RowStatement, rows: readonly RowTuples[]): void {
    let length = 10
    for (const { old, row } of rows) {
      for (const { isOld, column } of parameters) {
        length += 4 + ((isOld ? old : row)?.values[column]?.length ?? 0)
      }
    }
    let at = this.#message('B', length)
    // portal, statement, formats: one for all
    at = this.#chunk.writeUInt16BE(0, at)
    at = this.#chunk.writeInt16BE(1, at)
    at = this.#chunk.writeInt16BE(1, at)
    at = this.#chunk.writeUInt16BE(parameters.length * rows.length, at)
    for (const { old, row } of rows) {
      for (const { isOld, column } of parameters) {
        at = this.#value((isOld ? old : row)?.values[column] ?? null, at)
      }
    }
    this.#chunk.writeInt16BE(0, at)
  }

  /** Asks for the names of the columns that come. */
  describe(): void {
    const at = this.#message('D', 2)
    this.#chunk[at] = 0x50
    this.#chunk[at + 1] = 0
  }

  execute(): void {
    const at = this.#message('E', 5)
    this.#chunk.fill(0, at, at + 5)
  }

  copySignature(): void {
    const at = this.#message('d', copySignature.length)
    copySignature.copy(this.#chunk, at)
  }

  /** A row of binary COPY. */
  copyRow(row: Tuple): void {
    const { values } = row
    const count = values.length
    let length = 2
    for (let column = 0; column < count; column++) length += 4 + (values[column]?.length ?? 0)
    let at = this.#message('d', length)
    at = this.#chunk.writeInt16BE(count, at)
    for (let column = 0; column < count; column++) at = this.#value(values[column] ?? null, at)
  }

  copyDone(): void {
    const at = this.#message('d', 2)
    this.#chunk.writeInt16BE(-1, at)
    this.#message('c', 0)
  }

  copyFail(): void {
    const at = this.#message('f', 1)
    this.#chunk[at] = 0
  }

  /** The server answers what it has done so far. */
  flush(): void {
    this.#message('H', 0)
  }

  sync(): void {
    this.#message('S', 0)
  }

  #value(value: Buffer | null, at: number): number {
    if (value === null) return this.#chunk.writeInt32BE(-1, at)
    const start = this.#chunk.writeInt32BE(value.length, at)
    return start + value.copy(this.#chunk, start)
  }

  /** Room for a message; where its content begins. The chunk may be another one after this. */
  #message(tag: string, length: number): number {
    if (this.#used + length + 5 > this.#chunk.length) {
      this.push()
      if (length + 5 > chunkBytes) this.#chunk = Buffer.allocUnsafe(length + 5)
    }
    const at = this.#used
    this.#chunk[at] = tag.charCodeAt(0)
    this.#chunk.writeInt32BE(length + 4, at + 1)
    this.#used = at + 5 + length
    return at + 5
  }
}
