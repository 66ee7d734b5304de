import { performance } from 'node:perf_hooks'
import { HomeportError } from '../../../core/errors.ts'
import type { Logger } from '../../../core/log.ts'
import { formatLsn, parseLsn } from '../../../core/lsn.ts'
import type { PgoutputProtocol } from '../../pgoutput/decode.ts'
import type { Batch } from '../batch.ts'
import { Assembler } from './assembler.ts'
import { BatchQueue } from './batch-queue.ts'
import { decodeCopyData, type Keepalive, type WalData } from './copy-data.ts'
import { idleDelayMs } from './idle-advance.ts'
import { LinkKeeper } from './link-keeper.ts'
import type { BatchLimits, ReplicationStream, StreamIdentity } from './replication-stream.ts'
import type { SpillFolder } from './spill-folder.ts'
import type { StreamStart } from './stream-start.ts'
import type { WalConnection } from './wal-connection.ts'

export interface SlotStreamOptions {
  connection: WalConnection
  connectionString: string
  start: StreamStart
  slot: string
  startLsn: bigint
  protocol: PgoutputProtocol
  spillFolder: SpillFolder
  maxBufferedBytes: number
  signal: AbortSignal
  log: Logger
}

const maxTransactionBytes = 8 * 1024 * 1024
/** While a fence stands, whoever waits looks again so often: it may end by itself. */
const fencedLookMs = 50

/** A stream that runs: what arrives is assembled and queued, and the socket waits when too much is. */
export class SlotStream implements ReplicationStream {
  readonly identity: StreamIdentity
  readonly #options: SlotStreamOptions
  readonly #assembler: Assembler
  readonly #queue: BatchQueue
  readonly #link: LinkKeeper
  #receivedLsn: bigint
  /** how far the server says that it has sent everything */
  #sentLsn = 0n
  #durableLsn: bigint
  #lastBatchAtMs = performance.now()
  #hasEnded = false
  #failure: { error: unknown } | null = null
  #wake: () => void = () => undefined

  constructor(options: SlotStreamOptions) {
    const { start, protocol, startLsn, connection, connectionString } = options
    const { systemIdentifier, timeline, walLsn, walSenderTimeoutMs, serverVersion } = start
    this.#options = options
    this.identity = { systemIdentifier, timeline, walLsn, walSenderTimeoutMs, serverVersion, protocol }
    this.#receivedLsn = startLsn
    this.#durableLsn = startLsn
    this.#assembler = new Assembler({
      protocol,
      maxTransactionBytes: Math.min(maxTransactionBytes, options.maxBufferedBytes),
      maxOpenBytes: Math.max(maxTransactionBytes, options.maxBufferedBytes / 2),
      newSpillPath: () => options.spillFolder.newPath(),
    })
    this.#queue = new BatchQueue({
      origin: { slot: options.slot, systemIdentifier, timeline },
      after: startLsn,
      onRelease: () => this.#bound(),
    })
    this.#link = new LinkKeeper({
      connection,
      connectionString,
      walSenderTimeoutMs,
      durableLsn: () => this.#durableLsn,
      onDead: (error) => this.fail(error),
    })
  }

  get receivedLsn(): string {
    return formatLsn(this.#receivedLsn)
  }

  get ackedLsn(): string {
    return formatLsn(this.#durableLsn)
  }

  get queuedBytes(): number {
    return this.#queue.waitingBytes
  }

  /** The connection streams. */
  begin(): void {
    if (!this.#hasEnded) this.#link.start()
  }

  /** A message of the walsender. */
  receive(bytes: Buffer): void {
    if (this.#hasEnded) return
    try {
      this.#accept(decodeCopyData(bytes))
    } catch (error) {
      this.fail(error)
    }
  }

  async nextBatch(limits: BatchLimits): Promise<Batch | null> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure.error
      if (this.#options.signal.aborted || this.#hasEnded) return null
      const limit = limits.limit?.() ?? null
      const idleMs = limit === null ? this.#idleDelayMs() : fencedLookMs
      const leadsOn = limit === null && idleMs === 0
      const batch = this.#queue.take(limits, limit) ?? (leadsOn ? this.#queue.advance(this.#sentLsn) : null)
      if (batch !== null) {
        this.#lastBatchAtMs = performance.now()
        this.#bound()
        return batch
      }
      await this.#change(idleMs)
    }
  }

  look(): void {
    this.#wake()
  }

  hasHandedOut(lsn: bigint): boolean {
    const next = this.#queue.nextEndLsn
    // Transactions come in the order of their commits, and the server says how far it has looked for them.
    if (next !== null) return next > lsn
    return this.#sentLsn >= lsn && !this.#assembler.isInTransaction
  }

  ackDurable(endLsn: string): void {
    const lsn = parseLsn(endLsn)
    if (lsn <= this.#durableLsn) return
    if (!this.#queue.acknowledge(lsn)) {
      throw new HomeportError('ACKNOWLEDGED_TOO_FAR', `no batch of this stream ends at ${endLsn}`)
    }
    this.#durableLsn = lsn
    if (this.#hasEnded) return
    this.#options.connection.sendStatus(lsn, false)
    this.#bound()
    this.#wake()
  }

  /** Ends the stream at once: nothing is acknowledged after an error. */
  fail(error: unknown): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#failure = { error }
    this.#link.stop()
    this.#options.connection.destroy()
    this.#options.log.warn({ err: error, slot: this.#options.slot }, 'the stream ended')
    this.#wake()
  }

  async close(): Promise<void> {
    if (!this.#hasEnded) {
      this.#hasEnded = true
      this.#link.stop()
      this.#options.connection.sendStatus(this.#durableLsn, false)
      await this.#options.connection.close()
    }
    this.#wake()
    await Promise.all([this.#assembler.discard(), this.#queue.discard()])
  }

  #accept(message: WalData | Keepalive): void {
    if (message.lsn > this.#receivedLsn) this.#receivedLsn = message.lsn
    if (message.kind === 'keepalive') {
      this.#sentLsn = message.lsn
      this.#link.answer(message)
      this.#wake()
      return
    }
    const transaction = this.#assembler.push(message.payload)
    if (transaction === null) return
    this.#queue.push(transaction)
    this.#bound()
    this.#wake()
  }

  #idleDelayMs(): number | null {
    return idleDelayMs({
      sentLsn: this.#sentLsn,
      endLsn: this.#queue.endLsn,
      isIdle: !this.#assembler.isOpen && this.#queue.isIdle,
      sinceBatchMs: performance.now() - this.#lastBatchAtMs,
      isAwaited: this.#link.isAwaited,
    })
  }

  /**
   * The socket waits when too much is here, and goes on when half of that is gone. Also when none of it waits: a
   * consumer may keep what it has and ask for more.
   */
  #bound(): void {
    const { connection, maxBufferedBytes } = this.#options
    const { heldBytes, waitingBytes } = this.#queue
    if (waitingBytes === 0 || heldBytes <= maxBufferedBytes / 2) connection.setPaused(false)
    else if (heldBytes > maxBufferedBytes) connection.setPaused(true)
  }

  /** Waits until something has happened, or so long. */
  #change(limitMs: number | null): Promise<void> {
    const { signal } = this.#options
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#wake = () => undefined
        resolve()
      }
      const timer = limitMs === null ? undefined : setTimeout(done, limitMs)
      signal.addEventListener('abort', done, { once: true })
      this.#wake = done
    })
  }
}
