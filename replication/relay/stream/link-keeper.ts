import { performance } from 'node:perf_hooks'
import { connect } from '../../../core/db.ts'
import { errorCode, HomeportError } from '../../../core/errors.ts'
import type { Keepalive } from './copy-data.ts'
import { judgeLink, linkTimes } from './link-watch.ts'
import { ReplyRequests } from './reply-requests.ts'
import { primaryGone } from './stream-errors.ts'
import type { WalConnection } from './wal-connection.ts'

export interface LinkKeeperOptions {
  connection: WalConnection
  connectionString: string
  /** 0 is never */
  walSenderTimeoutMs: number
  durableLsn: () => bigint
  /** The connection is of no use any more. */
  onDead: (error: HomeportError) => void
}

/**
 * Keeps a streaming connection alive without moving the slot: answers keepalives, reports in between, and notices a
 * server that is gone (half-open TCP) or that cannot shut down because it waits for us.
 */
export class LinkKeeper {
  readonly #options: LinkKeeperOptions
  readonly #requests = new ReplyRequests()
  readonly #timeoutMs: number
  readonly #tickMs: number
  #timer: NodeJS.Timeout | undefined
  #reply: NodeJS.Timeout | undefined
  #lastTickAtMs = performance.now()

  constructor(options: LinkKeeperOptions) {
    this.#options = options
    const { timeoutMs, tickMs } = linkTimes(options.walSenderTimeoutMs)
    this.#timeoutMs = timeoutMs
    this.#tickMs = tickMs
  }

  start(): void {
    this.#lastTickAtMs = performance.now()
    this.#send(true)
    this.#timer = setInterval(() => this.#tick(), this.#tickMs)
  }

  stop(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#reply)
  }

  /** Whether the server waits for everything it has sent to be acknowledged, to shut down. */
  get isAwaited(): boolean {
    return this.#requests.isShuttingDown(performance.now())
  }

  answer(keepalive: Keepalive): void {
    if (!keepalive.isReplyRequested) return
    const nowMs = performance.now()
    const delayMs = this.#requests.add(keepalive.lsn, nowMs)
    if (this.#requests.hasWaited(nowMs)) this.#options.onDead(shuttingDown())
    else if (delayMs === 0) this.#send(false)
    else this.#reply = setTimeout(() => this.#send(false), delayMs)
  }

  #tick(): void {
    const { connection, onDead } = this.#options
    const nowMs = performance.now()
    const verdict = judgeLink({
      nowMs,
      lastByteAtMs: connection.lastByteAtMs,
      lastTickAtMs: this.#lastTickAtMs,
      tickMs: this.#tickMs,
      timeoutMs: this.#timeoutMs,
      isPaused: connection.isPaused,
    })
    this.#lastTickAtMs = nowMs
    if (verdict === 'silent') {
      onDead(
        new HomeportError(
          'STREAM_SILENT',
          `the primary has not been heard for ${Math.round((nowMs - connection.lastByteAtMs) / 1000)} s: the connection is dead`,
          { hint: 'check the network between here and the primary; the relay connects again' },
        ),
      )
      return
    }
    if (verdict === 'unknown') connection.forgetSilence()
    // The answer to it is what the next tick listens for.
    this.#send(true)
    // What a server says that is shut down lies behind what we do not read.
    if (connection.isPaused) void this.#lookForShutdown()
  }

  async #lookForShutdown(): Promise<void> {
    if (await refusesForShutdown(this.#options.connectionString)) this.#options.onDead(shuttingDown())
  }

  #send(isReplyRequested: boolean): void {
    this.#options.connection.sendStatus(this.#options.durableLsn(), isReplyRequested)
  }
}

async function refusesForShutdown(connectionString: string): Promise<boolean> {
  try {
    const client = await connect({
      connectionString,
      applicationName: 'homeport relay',
      connectTimeoutMs: 5_000,
    })
    await client.end()
    return false
  } catch (error) {
    return error instanceof HomeportError && errorCode(error.cause) === '57P03'
  }
}

function shuttingDown(): HomeportError {
  return primaryGone(
    'the primary is shutting down and waits for the cloud to have everything: it is let go',
    'start the primary again; the relay goes on where it was',
  )
}
