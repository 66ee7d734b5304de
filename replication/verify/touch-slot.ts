import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import type { Queryable } from '../../core/db.ts'
import { errorMessage, HomeportError } from '../../core/errors.ts'
import { formatLsn, parseLsn } from '../../core/lsn.ts'
import { publicationName, type PublishedTable } from '../../core/published-tables.ts'
import { createSlot, type CreatedSlot } from '../create-slot.ts'
import { decodeMessage } from '../pgoutput/decode.ts'
import { openReplicationSession } from '../relay/replication-session.ts'
import { decodeCopyData, encodeStatusUpdate } from '../relay/stream/copy-data.ts'
import type { Wire } from '../relay/stream/relay-plugin.ts'
import { renderStartCommand } from '../relay/stream/start-command.ts'
import { TouchedKeys } from './touched-keys.ts'

export interface TouchSlotOptions {
  /** the primary, as a role that may replicate */
  replicationUrl: string
  /** as the owner, to say what a new slot waits for */
  primary: Queryable
  tables: readonly PublishedTable[]
  /** how long the slot may wait for open transactions, and its log for us (default 30 s) */
  timeoutMs?: number
  signal?: AbortSignal
}

const statusEveryMs = 100
/** While nobody waits: often enough for any wal_sender_timeout. */
const idleStatusEveryMs = 1000
const endTimeoutMs = 2000

/**
 * A temporary slot that tells which rows are written from the moment on at which it was made. That moment
 * can be seen: import {@link snapshot} into sessions of the primary before {@link start}, which ends its export.
 * Only the session that made the slot can read it, so it is one session, and the slot ends with it.
 */
export class TouchSlot {
  /** for SET TRANSACTION SNAPSHOT, until start() */
  readonly snapshot: string
  /** the snapshot holds exactly what was committed before */
  readonly lsn: string
  readonly touched: TouchedKeys
  readonly #session: pg.Client
  readonly #name: string
  readonly #timeoutMs: number
  #timer: NodeJS.Timeout | undefined
  #failure: unknown
  #isEnded = false
  #takenLsn: bigint
  #waiting = 0
  #askedAtMs = 0
  #wake: () => void = () => undefined

  constructor(session: pg.Client, made: CreatedSlot, options: TouchSlotOptions) {
    this.#session = session
    this.#name = made.name
    this.#timeoutMs = options.timeoutMs ?? defaultTimeoutMs
    this.snapshot = made.snapshot
    this.lsn = made.lsn
    this.#takenLsn = parseLsn(made.lsn)
    this.touched = new TouchedKeys(options.tables)
    session.on('end', () => this.#fail(new Error('the primary ended the session')))
  }

  /** Begins to listen to the log. */
  start(): void {
    const wire = this.#wire
    wire.on('copyData', ({ chunk }: { chunk: Buffer }) => this.#receive(chunk))
    const command = renderStartCommand({
      slot: this.#name,
      publication: publicationName,
      startLsn: '0/0',
      // Whole transactions, after their commit, as text: keys read as the tables print them.
      protocol: 1,
      binary: false,
    })
    this.#session.query(command).then(
      () => this.#fail(new Error('the primary ended the stream')),
      (error: unknown) => this.#fail(error),
    )
    wire.once('replicationStart', () => {
      this.#timer = setInterval(() => this.#tell(), statusEveryMs)
    })
  }

  /**
   * Returns once every commit before this position has been taken in. Silence never counts as the end.
   *
   * @throws HomeportError TOUCHED_UNKNOWN when the log does not come so far in time.
   */
  async readUntil(lsn: string, signal?: AbortSignal): Promise<void> {
    const wanted = parseLsn(lsn)
    const giveUpAtMs = performance.now() + this.#timeoutMs
    this.#waiting += 1
    if (this.#timer !== undefined) this.#tell()
    try {
      await this.#waitFor(wanted, giveUpAtMs, signal)
    } finally {
      this.#waiting -= 1
    }
  }

  async #waitFor(wanted: bigint, giveUpAtMs: number, signal: AbortSignal | undefined): Promise<void> {
    while (!this.touched.hasPassed(wanted)) {
      signal?.throwIfAborted()
      if (this.#failure !== undefined) throw streamFailed(errorMessage(this.#failure), this.#failure)
      if (performance.now() > giveUpAtMs) {
        const position = formatLsn(this.touched.position)
        throw streamFailed(
          `it came to ${position} of ${formatLsn(wanted)} in ${Math.round(this.#timeoutMs / 1000)} s`,
        )
      }
      // The signal is looked at after each: a listener for every message would be too many.
      await Promise.race([delay(statusEveryMs), new Promise<void>((resolve) => (this.#wake = resolve))])
    }
  }

  /** Ends the stream and with it the slot. */
  async close(): Promise<void> {
    this.#isEnded = true
    const isStreaming = this.#timer !== undefined
    clearInterval(this.#timer)
    if (isStreaming && this.#failure === undefined) {
      const signal = AbortSignal.timeout(endTimeoutMs)
      const answers = ['readyForQuery', 'end'].map((event) => once(this.#wire, event, { signal }))
      this.#wire.endCopyFrom()
      // A server that does not answer in time ends the slot when it notices that we are gone.
      await Promise.any(answers).catch(() => undefined)
    }
    const ended = this.#session.end().catch(() => undefined)
    await Promise.race([ended, delay(endTimeoutMs, undefined, { ref: false })])
  }

  get #wire(): Wire {
    return (this.#session as unknown as { connection: Wire }).connection
  }

  #receive(bytes: Buffer): void {
    if (this.#isEnded || this.#failure !== undefined) return
    try {
      const data = decodeCopyData(bytes)
      if (data.kind === 'keepalive') this.touched.advance(data.lsn)
      else this.touched.take(decodeMessage(data.payload, { inStream: false, protocol: 1 }))
      const { isInTransaction, position } = this.touched
      if (!isInTransaction && position > this.#takenLsn) this.#takenLsn = position
      this.#wake()
    } catch (error) {
      this.#fail(error)
    }
  }

  /**
   * Says what has been taken in, so that the primary need not keep log for us, and asks how far the server is,
   * where somebody waits to know. Nothing is ever read again: the slot ends with its session.
   */
  #tell(): void {
    const isReplyRequested = this.#waiting > 0
    const nowMs = performance.now()
    if (!isReplyRequested && nowMs - this.#askedAtMs < idleStatusEveryMs) return
    this.#askedAtMs = nowMs
    const status = { durableLsn: this.#takenLsn, nowMs: Date.now(), isReplyRequested }
    this.#wire.sendCopyFromChunk(encodeStatusUpdate(status))
  }

  #fail(error: unknown): void {
    clearInterval(this.#timer)
    if (this.#isEnded) return
    this.#failure ??= error
    this.#wake()
  }
}

const defaultTimeoutMs = 30_000

/**
 * @throws HomeportError what createSlot and openReplicationSession throw.
 */
export async function openTouchSlot(options: TouchSlotOptions): Promise<TouchSlot> {
  const session = await openReplicationSession(options.replicationUrl)
  try {
    const made = await createSlot(session, { ...options, slot: null, temporaryPrefix: 'hpverify' })
    return new TouchSlot(session, made, options)
  } catch (error) {
    await session.end().catch(() => undefined)
    throw error
  }
}

function streamFailed(what: string, cause?: unknown): HomeportError {
  return new HomeportError(
    'TOUCHED_UNKNOWN',
    `which rows were written meanwhile cannot be read from the primary's log: ${what}`,
    { hint: 'run it again; the log of the primary says what happened', cause },
  )
}
