import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { setImmediate as yieldToEvents } from 'node:timers/promises'
import type pg from 'pg'
import type { Tuple } from '../../pgoutput/messages.ts'
import { FrontendWriter, type RowTuples } from './frontend-writer.ts'
import type { RowStatement } from './table-shape.ts'

export type FlightRow = Readonly<Record<string, string | null>>

/** Told once a statement is done; `count` is how many rows it wrote or read. */
export type Reply = (count: number, tag: string) => void

export interface FlightOptions {
  signal?: AbortSignal | undefined
  onBytes?: ((bytes: number) => void) | undefined
  /** the connection is given up when the server owes an answer and nothing moves for this long */
  silenceMs: number
}

interface Statement {
  reply: Reply
  row?: (row: FlightRow) => void
}

/** More unsent bytes than this wait for the network. */
const unsentBytes = 1 << 20

/**
 * Many statements on their way to the server at once, answered in order, so that they cost one round trip together
 * ("Pipelining" in PostgreSQL's documentation), COPY among them: its data follows its Execute without waiting. After
 * an error the server skips the rest up to the end of the flight, so in a transaction nothing happens that was not
 * meant to. Only the unnamed statement is used and nothing outlives the flight: poolers may stand in between.
 *
 * The driver sees one query (as with pg-cursor and pg-copy-streams).
 */
export class Flight {
  /** The driver puts its own here where it limits the time of queries: it ends the limit. */
  callback: () => void = () => undefined
  /** No limit of the driver's: a large transaction takes its time, {@link FlightOptions.silenceMs} watches. */
  readonly query_timeout = 2 ** 31 - 1
  readonly #options: FlightOptions
  readonly #writer: FrontendWriter
  readonly #landed: Promise<void>
  #land: (error?: Error) => void = () => undefined
  #takeOff: () => void = () => undefined
  #stream: Duplex | undefined
  #statements: Statement[] = []
  #answered = 0
  /** how many statements the server was told to answer by now */
  #flushed = 0
  #fields: readonly string[] = []
  #parsed: string | null = null
  #isCopying = false
  #isClosed = false
  #error: Error | undefined
  #hasPushed = false
  #lastMoveMs = performance.now()
  #lastUnsent = 0

  private constructor(options: FlightOptions) {
    this.#options = options
    this.#writer = new FrontendWriter((chunk) => this.#sendChunk(chunk))
    this.#landed = new Promise((resolve, reject) => {
      this.#land = (error) => (error === undefined ? resolve() : reject(error))
    })
    this.#landed.catch(() => undefined)
  }

  /** Takes the session until {@link land} or {@link abandon}. */
  static async open(session: pg.ClientBase, options: FlightOptions): Promise<Flight> {
    options.signal?.throwIfAborted()
    const flight = new Flight(options)
    const airborne = new Promise<void>((resolve) => (flight.#takeOff = resolve))
    const watch = setInterval(() => flight.#watch(), Math.max(10, options.silenceMs / 4))
    const abort = (): void => flight.#breakOff(options.signal?.reason)
    options.signal?.addEventListener('abort', abort)
    const end = (): void => {
      clearInterval(watch)
      options.signal?.removeEventListener('abort', abort)
    }
    flight.#landed.then(end, end)
    session.query(flight)
    await Promise.race([airborne, flight.#landed])
    return flight
  }

  /** True after an error: what is written now goes nowhere. */
  get hasFailed(): boolean {
    return this.#error !== undefined
  }

  /** The first error; undefined while there is none. */
  get error(): Error | undefined {
    return this.#error
  }

  /** True when {@link move} should be awaited before more is written. */
  get isFull(): boolean {
    return this.#hasPushed
  }

  /** Lets the network, and whoever waits for answers, have their turn. */
  async move(): Promise<void> {
    this.#hasPushed = false
    const stream = this.#stream
    if (stream !== undefined && stream.writableLength > unsentBytes && stream.writable) {
      await Promise.race([once(stream, 'drain'), this.#landed]).catch(() => undefined)
    } else await yieldToEvents()
  }

  /** A statement with parameters as text. */
  statement(text: string, values: readonly (string | null)[], reply: Reply): void {
    this.#begin(text)
    this.#writer.bindTexts(values)
    this.#end({ reply })
  }

  /** A statement that answers with rows, all of them as text. */
  rows(text: string, values: readonly (string | null)[]): Promise<FlightRow[]> {
    const rows: FlightRow[] = []
    const done = new Promise<void>((resolve) => {
      this.#begin(text)
      this.#writer.bindTexts(values)
      this.#writer.describe()
      this.#end({ reply: () => resolve(), row: (row) => rows.push(row) })
    })
    const answer = Promise.race([done, this.#landed]).then(() => rows)
    answer.catch(() => undefined)
    return answer
  }

  /** A statement with the columns of a row. */
  row(statement: RowStatement, old: Tuple | null, row: Tuple | null, reply: Reply): void {
    this.#begin(statement.text)
    this.#writer.bindRow(statement, old, row)
    this.#end({ reply })
  }

  /** A statement with the columns of several rows, in turn. */
  run(statement: RowStatement, rows: readonly RowTuples[], reply: Reply): void {
    this.#begin(statement.text)
    this.#writer.bindRun(statement, rows)
    this.#end({ reply })
  }

  /** A statement with the columns of a row that answers with rows. */
  rowsOf(statement: RowStatement, old: Tuple | null, row: Tuple | null): Promise<FlightRow[]> {
    const rows: FlightRow[] = []
    const done = new Promise<void>((resolve) => {
      this.#begin(statement.text)
      this.#writer.bindRow(statement, old, row)
      this.#writer.describe()
      this.#end({ reply: () => resolve(), row: (found) => rows.push(found) })
    })
    const answer = Promise.race([done, this.#landed]).then(() => rows)
    answer.catch(() => undefined)
    return answer
  }

  /** Begins a COPY; nothing else may be written until {@link copyEnd}. */
  copyBegin(text: string, reply: Reply): void {
    this.#begin(text)
    this.#writer.bindTexts([])
    this.#end({ reply })
    this.#writer.copySignature()
    this.#isCopying = true
  }

  copyRow(row: Tuple): void {
    if (!this.#isClosed) this.#writer.copyRow(row)
  }

  copyEnd(): void {
    this.#isCopying = false
    if (!this.#isClosed) this.#writer.copyDone()
  }

  /** Sends what was written; the server answers it when it is done. */
  push(): void {
    if (this.#isClosed) return
    // Within COPY the server passes over it.
    this.#writer.flush()
    this.#writer.push()
  }

  /** The end. @throws the first error of any statement, or of the connection. */
  async land(): Promise<void> {
    this.#close()
    await this.#landed
  }

  /** The end, whatever became of it; the transaction is still to be rolled back. */
  async abandon(): Promise<void> {
    if (this.#isCopying && !this.#isClosed) this.#writer.copyFail()
    this.#close()
    await this.#landed.catch(() => undefined)
  }

  #begin(text: string): void {
    if (this.#isClosed || this.#parsed === text) return
    this.#writer.parse(text)
    this.#parsed = text
  }

  #end(statement: Statement): void {
    if (this.#isClosed) return
    this.#writer.execute()
    this.#statements.push(statement)
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#writer.sync()
    this.#writer.push()
  }

  #sendChunk(chunk: Buffer): void {
    this.#hasPushed = true
    this.#flushed = this.#statements.length
    if (this.#stream?.writable !== true) return
    this.#stream.write(chunk)
    this.#options.onBytes?.(chunk.length)
  }

  /** A connection that owes answers must move within the time. */
  #watch(): void {
    const unsent = this.#stream?.writableLength ?? 0
    const owes = unsent > 0 || this.#isClosed || this.#answered < this.#flushed
    if (!owes || unsent < this.#lastUnsent) this.#lastMoveMs = performance.now()
    this.#lastUnsent = unsent
    if (performance.now() - this.#lastMoveMs < this.#options.silenceMs) return
    const seconds = Math.round(this.#options.silenceMs / 1000)
    this.#breakOff(
      Object.assign(new Error(`the cloud has not answered for ${seconds} s`), { code: 'ETIMEDOUT' }),
    )
  }

  #breakOff(reason: unknown): void {
    this.handleError(reason)
    this.#stream?.destroy()
  }

  // What the driver calls.

  submit(connection: pg.Connection): void {
    this.#stream = connection.stream
    this.#takeOff()
  }

  handleRowDescription(message: { fields: readonly { name: string }[] }): void {
    this.#fields = message.fields.map((field) => field.name)
  }

  handleDataRow(message: { fields: readonly (string | null)[] }): void {
    const row: Record<string, string | null> = {}
    for (const [place, name] of this.#fields.entries()) row[name] = message.fields[place] ?? null
    this.#statements[this.#answered]?.row?.(row)
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.#lastMoveMs = performance.now()
    const statement = this.#statements[this.#answered]
    this.#answered += 1
    statement?.reply(Number(text.slice(text.lastIndexOf(' ') + 1)), text)
    if (this.#answered < 10_000) return
    this.#statements.splice(0, this.#answered)
    this.#flushed -= this.#answered
    this.#answered = 0
  }

  handleEmptyQuery(): void {
    this.handleCommandComplete({ text: 'EMPTY 0' })
  }

  handleCopyInResponse(): void {
    this.#lastMoveMs = performance.now()
  }

  handleReadyForQuery(): void {
    this.callback()
    this.#land()
  }

  handleError(error: unknown): void {
    if (this.#error !== undefined) return
    this.#error = error instanceof Error ? error : new Error('the flight was broken off', { cause: error })
    // The server waits for the end of the flight before it says anything more.
    this.#close()
    this.callback()
    this.#land(this.#error)
  }
}
