import { EventEmitter, once } from 'node:events'
import { errorCode, errorMessage } from '../../core/errors.ts'
import { failpoint } from '../../core/failpoint.ts'
import type { Logger } from '../../core/log.ts'
import { parseLsn } from '../../core/lsn.ts'
import type { Batch } from './batch.ts'
import { firstSize, nextSize, sizeFor, type BatchSize } from './batch-size.ts'
import type { Applied } from './cloud-link.ts'
import { FenceGate } from './fence-gate.ts'
import { deliver, type DeliverOptions, type Reachable } from './deliver.ts'
import { countRows, type CountedBatch } from './row-counts.ts'
import type { Spool } from './spool/spool.ts'
import type { ReplicationStream } from './stream/replication-stream.ts'
import type { Transport } from './transport-choice.ts'

/** The log of the primary runs out: what the intake does about it. Changes are told by `flow.wake()`. */
export interface Pressure {
  /** what cannot be delivered goes into the spool */
  readonly isOn: boolean
  /** everything goes into the spool: the cloud is too slow to wait for */
  readonly isUrgent: boolean
  /** aborts when it comes on; a new one after it has gone */
  readonly signal: AbortSignal
}

/** A batch that the cloud has. */
export interface Delivered {
  batch: CountedBatch
  applied: Applied
  tookMs: number
  from: 'stream' | 'spool'
  transport: Transport
}

/** What a batch came to, for counters and the live line. */
export interface FlowEvents {
  onApplied: (delivered: Delivered) => void
  onSpooled: (batch: Batch) => void
  /** for a person: the spool fills, is full, is empty again */
  say: (text: string) => void
}

export interface FlowOptions {
  cloud: Reachable & { readonly transport: Transport }
  spool: Spool
  pressure: Pressure
  /** opens the stream again where it ended; rejects with what stops the relay, or when reading ends */
  reopen: (startLsn: string, cause: unknown) => Promise<ReplicationStream>
  deliver: Pick<DeliverOptions, 'fetchRows' | 'quarantine' | 'onBytes' | 'log'>
  /** over HTTPS */
  maxSegments: number
  /** nothing new is begun */
  stopping: AbortSignal
  /** what is under way is given up */
  hard: AbortSignal
  events: FlowEvents
  log: Logger
}

/** After this a spool that took nothing is asked again. */
const spoolRetryMs = 30_000

/**
 * Moves batches from the stream to the cloud, in order. While the cloud is away they wait in the primary's log;
 * when that runs out they go into the spool, which is emptied before anything goes straight again. A position is
 * acknowledged to the slot only when everything before it is durable in the cloud or in the spool.
 */
export class Flow {
  /** where a comparison lets it go no further */
  readonly gate: FenceGate
  readonly #options: FlowOptions
  readonly #changes = new EventEmitter()
  #stream: ReplicationStream
  #size: BatchSize = firstSize
  #durableLsn: string
  #isDelivering = false
  #isSettling = false
  /** commit times of what is being taken to the cloud, from the stream and from the spool */
  readonly #waiting: Record<'stream' | 'spool', string | null> = { stream: null, spool: null }
  #spoolTrouble: string | null = null

  constructor(options: FlowOptions, stream: ReplicationStream, startLsn: string) {
    this.#options = options
    this.#stream = stream
    this.#durableLsn = startLsn
    this.#changes.setMaxListeners(0)
    this.gate = new FenceGate(() => this.#stream.look())
  }

  /** Whether a batch of the stream is being settled. */
  get isSettling(): boolean {
    return this.#isSettling
  }

  /** Why a fence would say nothing about the cloud; null when it would. */
  get fenceTrouble(): string | null {
    return this.#options.spool.isEmpty && !this.#options.pressure.isOn ? null : 'changes wait in the spool'
  }

  /** Whether everything that ended there or before was taken from the stream. */
  hasTaken(lsn: bigint): boolean {
    return this.#stream.hasHandedOut(lsn)
  }

  /** Everything until here is in the cloud or in the spool. */
  get durableLsn(): string {
    return this.#durableLsn
  }

  get stream(): ReplicationStream {
    return this.#stream
  }

  /** Whether a batch is on its way to the cloud. */
  get isDelivering(): boolean {
    return this.#isDelivering
  }

  /** Commit time of the oldest change in hand; null when there is none. */
  get oldestWaitingAt(): string | null {
    return this.#waiting.spool ?? this.#waiting.stream
  }

  get size(): BatchSize {
    return this.#size
  }

  /** Why the spool takes nothing at the moment; null when it does. */
  get spoolTrouble(): string | null {
    return this.#spoolTrouble
  }

  /** Something outside has changed: the pressure, or the connection. */
  wake(): void {
    this.#changes.emit('change')
  }

  /** Whether the cloud has everything up to a position. */
  cloudHas(lsn: string): boolean {
    return this.#options.spool.isEmpty && parseLsn(this.#durableLsn) >= parseLsn(lsn)
  }

  /** Reads and settles batches until `stopping`. @throws HomeportError for what no repetition cures. */
  async intake(): Promise<void> {
    const { stopping } = this.#options
    while (!stopping.aborted) {
      const batch = await this.#next()
      if (batch === null) return
      this.#waiting.stream = batch.oldestCommitAt
      this.#isSettling = true
      try {
        await this.#settle(batch)
      } finally {
        await batch.release()
      }
      this.#isSettling = false
      this.#waiting.stream = null
    }
  }

  /** Empties the spool, oldest first, whenever it holds something and the cloud can be reached; until `stopping`. */
  async drain(): Promise<void> {
    const { spool, stopping, events } = this.#options
    while (!stopping.aborted) {
      if (spool.isEmpty) {
        await this.#change()
        continue
      }
      const batch = await spool.first()
      if (batch === null) continue
      this.#waiting.spool = batch.oldestCommitAt
      try {
        const applied = await this.#deliver(batch, 'spool', stopping)
        if (applied === null) return
        await spool.removeFirst()
      } finally {
        await batch.release()
      }
      this.#waiting.spool = null
      if (!spool.isEmpty) continue
      events.say('the spool is empty: batches go to the cloud again as they come')
      this.wake()
    }
  }

  async #next(): Promise<Batch | null> {
    const { stopping, cloud, maxSegments, reopen } = this.#options
    for (;;) {
      try {
        const size = sizeFor(cloud.transport, this.#size, maxSegments)
        return await this.#stream.nextBatch({ ...size, limit: () => this.gate.limit() })
      } catch (error) {
        if (stopping.aborted) return null
        await this.#stream.close().catch(() => undefined)
        this.#stream = await reopen(this.#durableLsn, error)
      }
    }
  }

  /** Until the batch is durable somewhere and acknowledged, or the relay stops. */
  async #settle(batch: Batch): Promise<void> {
    const { spool, pressure, stopping } = this.#options
    while (!stopping.aborted) {
      if (spool.isEmpty && pressure.isUrgent && (await this.#append(batch))) return this.#acknowledge(batch)
      if (spool.isEmpty) {
        // There is no hurry to give it to a spool that takes nothing.
        const hurry = this.#spoolTrouble === null ? pressure.signal : AbortSignal.timeout(spoolRetryMs)
        const patience = AbortSignal.any([stopping, hurry])
        if ((await this.#deliver(batch, 'stream', patience)) !== null) return this.#acknowledge(batch)
      }
      if (pressure.isOn && (await this.#append(batch))) return this.#acknowledge(batch)
      // The spool is being emptied, or takes nothing.
      await this.#change(1_000)
    }
  }

  async #acknowledge(batch: Batch): Promise<void> {
    this.#durableLsn = batch.end
    this.#spoolTrouble = null
    this.#stream.ackDurable(batch.end)
    await failpoint('relay.after-ack')
    this.wake()
  }

  async #deliver(uncounted: Batch, from: 'stream' | 'spool', patience: AbortSignal): Promise<Applied | null> {
    const { cloud, hard, events } = this.#options
    const batch = countRows(uncounted)
    const startMs = performance.now()
    const wasCut = this.#stream.queuedBytes > 0
    this.#isDelivering = true
    try {
      const applied = await deliver(batch, { ...this.#options.deliver, cloud, signal: hard, patience })
      if (applied === null) return null
      await failpoint('relay.after-commit')
      const tookMs = performance.now() - startMs
      if (from === 'stream') this.#size = nextSize(this.#size, { rows: applied.rows, wasCut, tookMs })
      events.onApplied({ batch, applied, tookMs, from, transport: cloud.transport })
      return applied
    } finally {
      this.#isDelivering = false
    }
  }

  /** Whether the spool took it. A spool that is full leaves it to the primary's log. */
  async #append(batch: Batch): Promise<boolean> {
    const { spool, events, log } = this.#options
    const wasEmpty = spool.isEmpty
    try {
      await spool.append(batch)
    } catch (error) {
      if (!['SPOOL_FULL', 'SPOOL_DISK_FULL', 'SPOOL_WRITE'].includes(errorCode(error) ?? '')) throw error
      if (this.#spoolTrouble === null) events.say(`the spool takes nothing more: ${errorMessage(error)}`)
      this.#spoolTrouble = errorMessage(error)
      log.error({ err: error }, 'the spool takes nothing more')
      return false
    }
    this.#spoolTrouble = null
    if (wasEmpty) events.say('changes go into the spool now, so that the primary can drop their log')
    events.onSpooled(batch)
    await failpoint('spool.before-ack')
    return true
  }

  /** Waits for {@link wake}, for the end, or so long. */
  async #change(limitMs?: number): Promise<void> {
    const { stopping } = this.#options
    const signal =
      limitMs === undefined ? stopping : AbortSignal.any([stopping, AbortSignal.timeout(limitMs)])
    await once(this.#changes, 'change', { signal }).catch(() => undefined)
  }
}
