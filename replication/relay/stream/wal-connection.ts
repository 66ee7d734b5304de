import { once } from 'node:events'
import { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { Client } from 'pg'
import { LogicalReplicationService } from 'pg-logical-replication'
import { orAborted, sleep } from '../../../core/backoff.ts'
import { sessionOptions } from '../../../core/db.ts'
import { errorCode } from '../../../core/errors.ts'
import { encodeStatusUpdate } from './copy-data.ts'
import { RelayPlugin, type Wire } from './relay-plugin.ts'
import { explainOpenError, explainStreamError, type StreamTarget } from './stream-errors.ts'
import { readStreamStart, type StreamStart } from './stream-start.ts'
import { slotHeld } from '../start-checks.ts'

export interface WalHandlers {
  /** One message of the walsender; a view that is overwritten by the next. */
  onMessage: (bytes: Buffer) => void
  /** The stream has ended, with an error that is explained. */
  onEnd: (error: unknown) => void
}

export interface WalConnectionOptions extends StreamTarget {
  signal: AbortSignal
  /** how long to wait for a slot that somebody reads */
  slotHeldTimeoutMs: number
  /** Called once the session is there, before anything streams: which command starts it, and who listens. */
  begin: (connection: WalConnection, start: StreamStart) => { command: string; handlers: WalHandlers }
}

const connectTimeoutMs = 10_000
const applicationName = 'homeport relay'
const endTimeoutMs = 2_000
const heldRetryMs = 250

/** A replication session that streams. Nothing is confirmed but by {@link sendStatus}. */
export class WalConnection {
  readonly #socket: Socket
  readonly #wire: Wire
  #lastByteAtMs = performance.now()
  #isPaused = false
  #isEnded = false

  constructor(socket: Socket, wire: Wire) {
    this.#socket = socket
    this.#wire = wire
    wire.stream.on('data', () => {
      this.#lastByteAtMs = performance.now()
    })
  }

  /** When the server was last heard, by performance.now(). */
  get lastByteAtMs(): number {
    return this.#lastByteAtMs
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Stops or starts reading from the socket; the server waits meanwhile, and status updates still leave. */
  setPaused(isPaused: boolean): void {
    if (this.#isPaused === isPaused) return
    this.#isPaused = isPaused
    if (isPaused) this.#wire.stream.pause()
    else {
      this.forgetSilence()
      this.#wire.stream.resume()
    }
  }

  /** The silence so far says nothing about the server. */
  forgetSilence(): void {
    this.#lastByteAtMs = performance.now()
  }

  sendStatus(durableLsn: bigint, isReplyRequested: boolean): void {
    if (this.#isEnded) return
    this.#wire.sendCopyFromChunk(encodeStatusUpdate({ durableLsn, nowMs: Date.now(), isReplyRequested }))
  }

  /** Ends the stream in order: what was sent before has been carried out by the server when this returns, if it answers. */
  async close(): Promise<void> {
    if (this.#isEnded) return
    this.#wire.endCopyFrom()
    // Whatever is still on its way must be read, or the server never sees our end.
    this.setPaused(false)
    const signal = AbortSignal.timeout(endTimeoutMs)
    const answers = ['readyForQuery', 'end'].map((event) => once(this.#wire, event, { signal }))
    // A server that does not answer in time keeps the slot where it is; nothing is lost.
    await Promise.any(answers).catch(() => undefined)
    this.destroy()
  }

  destroy(): void {
    this.#isEnded = true
    this.#socket.destroy()
  }
}

/**
 * Connects for replication and starts the stream. Waits a while for a slot that somebody still reads: a relay that
 * was killed leaves a walsender behind.
 *
 * @throws HomeportError POOLED_CONNECTION, PRIMARY_UNREACHABLE, SLOT_HELD, SLOT_MISSING, SLOT_LOST and what `begin` throws.
 */
export async function openWalConnection(options: WalConnectionOptions): Promise<WalConnection> {
  const socket = new Socket()
  // A new service for each connection: one that connects again resumes after what it received.
  const service = new LogicalReplicationService(
    {
      connectionString: options.connectionString,
      application_name: applicationName,
      connectionTimeoutMillis: connectTimeoutMs,
      options: sessionOptions,
      keepAlive: true,
      stream: () => socket,
    },
    { acknowledge: { auto: false, timeoutSeconds: 0 } },
  )
  // The same errors reject the promises below.
  service.on('error', () => undefined)
  try {
    return await orAborted(startStream(service, socket, options), options.signal)
  } catch (error) {
    socket.destroy()
    options.signal.throwIfAborted()
    throw explainOpenError(error, options)
  }
}

function startStream(
  service: LogicalReplicationService,
  socket: Socket,
  options: WalConnectionOptions,
): Promise<WalConnection> {
  return new Promise((resolve, reject) => {
    let handlers: WalHandlers | undefined
    const run = async (client: Client, wire: Wire): Promise<void> => {
      const connection = new WalConnection(socket, wire)
      const start = await readStreamStart(client, options.slot)
      const begun = options.begin(connection, start)
      wire.on('copyData', ({ chunk }: { chunk: Buffer }) => begun.handlers.onMessage(chunk))
      const copy = await startCopy(client, wire, begun.command, options)
      handlers = begun.handlers
      resolve(connection)
      await copy.ended
    }
    const onEnd = (error: unknown): void => {
      // Without an error, too: the service takes a connection that ends before the start for one that was stopped.
      if (handlers === undefined) reject(error instanceof Error ? error : new Error('Connection terminated'))
      else handlers.onEnd(explainStreamError(error, options))
    }
    service.subscribe(new RelayPlugin({ run }), options.slot).then(() => onEnd(null), onEnd)
  })
}

/** Returns once the stream has started, with the promise of its end. */
async function startCopy(
  client: Client,
  wire: Wire,
  command: string,
  options: WalConnectionOptions,
): Promise<{ ended: Promise<unknown> }> {
  const giveUpAtMs = performance.now() + options.slotHeldTimeoutMs
  for (;;) {
    const stop = new AbortController()
    const started = once(wire, 'replicationStart', { signal: stop.signal })
    const ended = client.query(command)
    try {
      await Promise.race([started, ended])
      return { ended }
    } catch (error) {
      stop.abort()
      started.catch(() => undefined)
      if (errorCode(error) !== '55006') throw error
      if (performance.now() > giveUpAtMs) {
        const { slot } = await readStreamStart(client, options.slot)
        throw slot === null ? error : slotHeld(slot)
      }
      await sleep(heldRetryMs, options.signal)
    }
  }
}
