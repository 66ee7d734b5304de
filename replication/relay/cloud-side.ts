import { backoffMs, orAborted, sleep } from '../../core/backoff.ts'
import { formatDuration } from '../../core/amounts.ts'
import { errorMessage, type HomeportError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { parseLsn } from '../../core/lsn.ts'
import type { CloudDescription, CloudLink, Lease, LeaseRequest, Progress } from './cloud-link.ts'
import { decide, explainStop, isRefusal, nameRefusal } from './decide.ts'
import { OpenLinks } from './open-links.ts'
import { cloudRewound } from './start-checks.ts'
import {
  afterFailure,
  afterProbe,
  afterSuccess,
  firstTransport,
  isProbeDue,
  type Transport,
  type TransportPolicy,
  type TransportState,
} from './transport-choice.ts'

/** The cloud as we may write to it now: a link, the lease that we hold, and how far the cloud is. */
export interface CloudSession {
  readonly link: CloudLink
  readonly lease: Lease
  progress: Progress
}

export interface CloudSideOptions {
  /** Opens a link by each way that has a setting; nothing is connected yet. */
  open: Readonly<Partial<Record<Transport, () => CloudLink>>>
  policy: TransportPolicy
  /** the slot that is remembered; null when the cloud is to name it */
  slot: string | null
  /** who we are, and which primary we read */
  leaseRequest: (slot: string) => LeaseRequest
  /** Judges what the cloud says at every connection, before anything is written there; rejects to stop. */
  check: (cloud: CloudDescription) => Promise<void>
  /** Judges the progress that came with the lease; throws to stop. */
  checkProgress: (progress: Progress) => void
  /** for a person: which way batches go, and what is in the way */
  say: (text: string) => void
  /** what was in the way, each time */
  onTrouble: (error: unknown) => void
  /** there is a connection again */
  onReconnect: () => void
  log: Logger
  now?: () => number
  retryMs?: number
  retryMaxMs?: number
}

/**
 * The cloud, by whichever way works. Connects again after a failure, with growing waits; changes over to the
 * gateway and back as transport-choice.ts decides; checks at every connection who and where the cloud is.
 */
export class CloudSide {
  readonly #options: CloudSideOptions
  readonly #now: () => number
  readonly #worked = new Set<Transport>()
  readonly #refused = new Set<Transport>()
  readonly #links: OpenLinks
  #slot: string
  #state: TransportState
  #session: CloudSession | null = null
  #described: { link: CloudLink; progress: Progress | null } | null = null
  #unreachableSinceMs: number | null
  #lastError: string | null = null
  #connecting: Promise<CloudSession> | null = null
  #probing = false

  constructor(options: CloudSideOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#slot = options.slot ?? unknownSlot
    this.#links = new OpenLinks(options.open)
    this.#state = firstTransport(options.policy)
    this.#unreachableSinceMs = this.#now()
  }

  /** The way in use. */
  get transport(): Transport {
    return this.#state.current
  }

  /** Null while there is none. */
  get session(): CloudSession | null {
    return this.#session
  }

  /** How long there has been no session; 0 while there is one. */
  get unreachableMs(): number {
    return this.#unreachableSinceMs === null ? 0 : this.#now() - this.#unreachableSinceMs
  }

  /** Why the last connection failed; null while there is one. */
  get lastError(): string | null {
    return this.#lastError
  }

  /**
   * The session, or a new one as soon as there is a way.
   *
   * @throws HomeportError for what no repetition cures; the signal's reason when it aborts.
   */
  async reach(signal: AbortSignal): Promise<CloudSession> {
    for (let attempt = 0; ; attempt += 1) {
      this.probeWhenDue()
      if (this.#session?.link.name === this.transport) return this.#session
      signal.throwIfAborted()
      const transport = this.transport
      try {
        // One at a time: of two leases the older is refused.
        this.#connecting ??= this.#connect(transport).finally(() => (this.#connecting = null))
        return await orAborted(this.#connecting, signal)
      } catch (error) {
        signal.throwIfAborted()
        if (this.#isFinal(error, transport))
          throw nameRefusal(explainStop(error, 'cloud'), settingOf[transport])
        this.lose(error, transport)
      }
      const { retryMs = 250, retryMaxMs = 15_000 } = this.#options
      await sleep(backoffMs({ attempt, baseMs: retryMs, maxMs: retryMaxMs }), signal)
    }
  }

  /** The way in use was found broken. */
  lose(error: unknown, transport = this.transport): void {
    const { policy, say, onTrouble, log } = this.#options
    const reason = errorMessage(error)
    onTrouble(error)
    this.#session = null
    this.#links.discard(transport)
    if (transport !== this.transport) return
    if (this.#lastError === null) say(`the cloud cannot be reached (${transport}): ${reason}; trying again`)
    log.warn({ transport, err: error }, 'the cloud cannot be reached')
    this.#lastError = reason
    this.#unreachableSinceMs ??= this.#now()
    const before = this.#state
    this.#state = afterFailure(before, policy, this.#now())
    if (before.current !== this.transport) {
      const since = formatDuration(this.#now() - (before.failingSinceMs ?? this.#now()))
      say(`batches go through the gateway now: direct has failed for ${since} (${reason})`)
      log.warn({ transport: this.transport }, 'changed transport')
    }
  }

  /** Asks the cloud anew who and where it is before anything else is sent. */
  forget(): void {
    this.#session = null
  }

  /** A batch went through. */
  worked(progress: Progress): void {
    this.#state = afterSuccess(this.#state)
    if (this.#session !== null) this.#session.progress = progress
  }

  /** Keeps the lease. @throws HomeportError RELAY_FENCED when somebody else has it; other trouble is left to the next batch. */
  async renew(): Promise<void> {
    this.probeWhenDue()
    const session = this.#session
    if (session === null) return
    try {
      await session.link.renew(session.lease)
    } catch (error) {
      const decision = decide(error, { hasWorked: true })
      if (decision === 'stop' && this.#session === session) throw explainStop(error, 'cloud')
      if (decision === 'reconnect' && this.#session === session) this.lose(error)
    }
  }

  /** Looks aside whether straight works again while the gateway is in use. The next {@link reach} goes by what it found. */
  probeWhenDue(): void {
    const { policy, say, log } = this.#options
    if (this.#probing || !isProbeDue(this.#state, this.#now())) return
    this.#probing = true
    void this.#links
      .get('direct')
      .describe(this.#slot)
      .then((found) => !found.isReadOnly)
      .catch(() => {
        this.#links.discard('direct')
        return false
      })
      .then((works) => {
        this.#state = afterProbe(this.#state, works, policy, this.#now())
        if (works) say('direct works again: batches go straight to the cloud')
        log.info({ works, transport: this.transport }, 'looked whether direct works again')
      })
      .finally(() => (this.#probing = false))
  }

  /**
   * Being fenced off means that another relay took over, or that the cloud forgot that we had: one that was restored
   * to an older state counts its epochs from there. Returns the error that it is.
   */
  async explainFence(fenced: HomeportError): Promise<HomeportError> {
    const session = this.#session
    if (session === null) return fenced
    const { link, lease } = session
    const progress = await link.readProgress(lease.slot)
    if (progress !== null && BigInt(progress.epoch) >= BigInt(lease.epoch)) return fenced
    // Of the lease that we thought we had nothing is left to report with.
    this.#session = null
    this.#described = { link, progress }
    return cloudRewound(progress?.endLsn ?? '0/0', session.progress.endLsn)
  }

  /**
   * Writes down in the cloud why the relay ends, where it may: never over another relay's lease or a promotion.
   * Tells whether it did.
   */
  async reportStop(stop: HomeportError): Promise<boolean> {
    if (['RELAY_HELD', 'RELAY_FENCED', 'PROMOTED'].includes(stop.code)) return false
    const held = this.#session ?? (await this.#acquireToReport())
    if (held === null) return false
    const report = { stopCode: stop.code, stopMessage: stop.message, stopHint: stop.hint ?? null }
    // A copy that is not complete must not look as if it were.
    const state = held.progress.state === 'seeding' ? 'seeding' : 'stopped'
    await held.link.report(held.lease, { ...report, state })
    return true
  }

  /** Gives the lease back, so that another relay need not wait for its end. */
  async reportEnd(): Promise<void> {
    const session = this.#session
    if (session === null || session.progress.state === 'seeding') return
    const report = { state: 'stopped', stopCode: null, stopMessage: null, stopHint: null } as const
    await session.link.report(session.lease, report)
  }

  async close(): Promise<void> {
    this.#session = null
    await this.#links.close()
  }

  /** Whether no repetition and no other way helps. */
  #isFinal(error: unknown, transport: Transport): boolean {
    if (isRefusal(error)) this.#refused.add(transport)
    const isOtherLeft = this.#options.policy.available.some((other) => !this.#refused.has(other))
    return decide(error, { hasWorked: this.#worked.has(transport) || isOtherLeft }) === 'stop'
  }

  /** A check stopped us before we had the lease: taken as the primary that the cloud knows, only to leave the message. */
  async #acquireToReport(): Promise<CloudSession | null> {
    const progress = this.#described?.progress ?? null
    if (this.#described === null || progress === null) return null
    const { link } = this.#described
    const { systemIdentifier, timeline } = progress
    const request = { ...this.#options.leaseRequest(progress.slot), systemIdentifier, timeline }
    return { link, ...(await link.acquire(request)) }
  }

  async #connect(transport: Transport): Promise<CloudSession> {
    const { leaseRequest, check, checkProgress, say, onReconnect, log } = this.#options
    const link = this.#links.get(transport)
    this.#described = null
    let described = await link.describe(this.#slot)
    if (described.progress === null && described.slot !== this.#slot)
      described = await link.describe(described.slot)
    this.#described = { link, progress: described.progress }
    if (!described.hasSession) {
      log.warn(
        { transport },
        'a transaction pooler is in the way; that works, and the server itself is quicker',
      )
    }
    await check(described)
    this.#slot = described.slot
    const session: CloudSession = { link, ...(await link.acquire(leaseRequest(described.slot))) }
    checkProgress(session.progress)
    this.#worked.add(transport)
    this.#session = session
    if (this.#lastError !== null) {
      say(`the cloud answers again (${transport}), after ${formatDuration(this.unreachableMs)}`)
      onReconnect()
    }
    this.#unreachableSinceMs = null
    this.#lastError = null
    const { endLsn } = session.progress
    log.info({ transport, endLsn, epoch: session.lease.epoch }, 'connected to the cloud')
    return session
  }
}

const settingOf = { direct: 'RELAY_DATABASE_URL', gateway: 'PRODUCTION_API_URL' } as const

/** No slot of ours has this name. */
const unknownSlot = 'homeport'

/** Whether the cloud has everything up to a position. */
export function cloudHas(progress: Progress, lsn: string): boolean {
  return parseLsn(progress.endLsn) >= parseLsn(lsn)
}
