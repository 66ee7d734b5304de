import type pg from 'pg'
import { backoffMs, orAborted, sleep } from '../../core/backoff.ts'
import { formatDuration } from '../../core/amounts.ts'
import { explainConnectionError, type Queryable } from '../../core/db.ts'
import { errorCode, errorMessage, HomeportError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { publicationName } from '../../core/published-tables.ts'
import { parseLsn } from '../../core/lsn.ts'
import { loadSql } from '../../core/sql.ts'
import { decide, explainStop, nameRefusal } from './decide.ts'
import { verifyHistory, type KnownHistory } from './history-check.ts'
import { readPrimaryFacts, type PrimaryFacts, type RelaySlot } from './primary-facts.ts'
import { judgePrimary, judgeSlot, slotHeld } from './start-checks.ts'
import {
  openReplicationStream,
  type ReplicationStream,
  type StreamOptions,
} from './stream/replication-stream.ts'

export interface PrimarySideOptions {
  connectionString: string
  /** for everything but the stream */
  pool: pg.Pool
  spillFolder: string
  /** ends the streams: nothing more is read, what is acknowledged is still sent */
  reading: AbortSignal
  say: (text: string) => void
  /** what was in the way, each time */
  onTrouble: (error: unknown) => void
  /** it answers again */
  onReconnect: () => void
  log: Logger
  openStream?: (options: StreamOptions) => Promise<ReplicationStream>
  retryMs?: number
  retryMaxMs?: number
}

/** The name of our sessions on the primary; what still holds the slot under it is a connection of ours that died. */
export const relayApplicationName = 'homeport relay'

/** The primary: what it says about itself, and a stream of its slot, opened again after every failure. */
export class PrimarySide {
  readonly #options: PrimarySideOptions
  #hasWorked = false
  #lastError: string | null = null
  #unreachableSinceMs: number | null = null
  #facts: PrimaryFacts | null = null

  constructor(options: PrimarySideOptions) {
    this.#options = options
  }

  /** What it said last; null before it has said anything. */
  get facts(): PrimaryFacts | null {
    return this.#facts
  }

  /** Why it was not reached the last time; null while it is. */
  get lastError(): string | null {
    return this.#lastError
  }

  /** Asks until it answers. @throws HomeportError for what no repetition cures; the signal's reason. */
  async readFacts(slot: string | null, signal: AbortSignal): Promise<PrimaryFacts> {
    return this.#persist(signal, async () => {
      const facts = await this.#askFacts(slot)
      const wrong = judgePrimary(facts)
      if (wrong !== null) throw wrong
      return facts
    })
  }

  /**
   * What it says now, or, where it does not answer, what it last said of the same slot: that the cloud is not
   * further than its log cannot be told then, and is judged when the stream is opened.
   */
  async latestFacts(slot: string, signal: AbortSignal): Promise<PrimaryFacts> {
    const known = this.#facts
    if (known?.slot?.name !== slot) return this.readFacts(slot, signal)
    try {
      return await orAborted(this.#askFacts(slot), signal)
    } catch (error) {
      signal.throwIfAborted()
      if (decide(error, { hasWorked: true }) === 'stop') throw explainStop(error, 'primary')
      return { ...known, walLsn: 'FFFFFFFF/FFFFFFFF' }
    }
  }

  /**
   * Opens a stream of the slot from a position, once `check` has nothing against what the primary says.
   * Waits and tries again while it cannot be reached.
   *
   * @throws HomeportError SLOT_MISSING, SLOT_LOST, SLOT_HELD (by somebody else), or what `check` throws.
   */
  async open(input: {
    slot: string
    startLsn: string
    /** nobody else may read for this cloud: then what holds the slot in our name is a dead connection */
    hasLease: () => boolean
    check: (facts: PrimaryFacts) => void
    /** what the cloud has of its log; compared where the slot goes back before it */
    history: () => KnownHistory | null
    signal: AbortSignal
  }): Promise<ReplicationStream> {
    return this.#persist(input.signal, async () => {
      const facts = await this.#askFacts(input.slot)
      const wrong = judgePrimary(facts) ?? judgeSlot(facts.slot, input.slot, facts.database)
      if (wrong !== null) throw wrong
      input.check(facts)
      if (facts.slot?.active === true) await this.#freeSlot(facts.slot, facts, input.hasLease())
      await this.#checkHistory(facts, input)
      const stream = await this.#openStream(input.slot, input.startLsn)
      try {
        // The stream says it without needing a right, and is what we are going to read.
        const { systemIdentifier, timeline, walLsn } = stream.identity
        input.check({ ...facts, systemIdentifier, timeline, walLsn })
        return stream
      } catch (error) {
        await stream.close()
        throw error
      }
    })
  }

  /** Where the slot is behind the cloud, what it sends again must be what the cloud has. */
  async #checkHistory(
    facts: PrimaryFacts,
    input: { slot: string; history: () => KnownHistory | null },
  ): Promise<void> {
    const known = input.history()
    const confirmedLsn = facts.slot?.confirmedLsn ?? null
    if (known === null || confirmedLsn === null || parseLsn(confirmedLsn) >= parseLsn(known.endLsn)) return
    this.#options.log.info({ confirmedLsn, ...known }, 'comparing what the slot sends again')
    await verifyHistory(await this.#openStream(input.slot, confirmedLsn), known, confirmedLsn)
  }

  async #openStream(slot: string, startLsn: string): Promise<ReplicationStream> {
    const { connectionString, spillFolder, reading, log, openStream = openReplicationStream } = this.#options
    return openStream({
      connectionString,
      slot,
      publication: publicationName,
      startLsn,
      spillFolder,
      signal: reading,
      log,
    })
  }

  /** A stream has ended with an error. @throws HomeportError when no new one helps. */
  lost(error: unknown): void {
    if (decide(error, { hasWorked: true }) === 'stop') throw explainStop(error, 'primary')
    this.#noteFailure(error)
  }

  async #persist<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { retryMs = 250, retryMaxMs = 15_000, say, onReconnect } = this.#options
    for (let attempt = 0; ; attempt += 1) {
      signal.throwIfAborted()
      try {
        const result = await orAborted(work(), signal)
        this.#hasWorked = true
        if (this.#lastError !== null) {
          say(`the primary answers again, after ${this.#unreachableFor()}`)
          onReconnect()
        }
        this.#lastError = null
        this.#unreachableSinceMs = null
        return result
      } catch (error) {
        signal.throwIfAborted()
        if (decide(error, { hasWorked: this.#hasWorked }) === 'stop') {
          throw nameRefusal(explainStop(error, 'primary'), 'REPLICATION_DATABASE_URL')
        }
        this.#noteFailure(error)
      }
      await sleep(backoffMs({ attempt, baseMs: retryMs, maxMs: retryMaxMs }), signal)
    }
  }

  async #askFacts(slot: string | null): Promise<PrimaryFacts> {
    const { pool, connectionString } = this.#options
    try {
      this.#facts = await readPrimaryFacts(pool, slot)
      return this.#facts
    } catch (error) {
      // A statement that fails has a SQLSTATE of its own; without one it was the connection.
      const code = errorCode(error)
      if (
        error instanceof HomeportError ||
        (code !== undefined && !/^(?:28|3D|57P|08)/.test(code) && /^\d/.test(code))
      )
        throw error
      throw explainConnectionError(error, { connectionString, applicationName: relayApplicationName })
    }
  }

  async #freeSlot(slot: RelaySlot, facts: PrimaryFacts, hasLease: boolean): Promise<void> {
    const isOurs = slot.holder?.startsWith(relayApplicationName) === true && slot.holderRole === facts.role
    if (!isOurs) throw slotHeld(slot)
    if (hasLease) await endHolder(this.#options.pool, slot)
    throw new HomeportError(
      'SLOT_STILL_HELD',
      `slot ${slot.name} is still held by an earlier connection of ours`,
    )
  }

  #noteFailure(error: unknown): void {
    const { say, onTrouble, log } = this.#options
    const reason = errorMessage(error)
    onTrouble(error)
    if (this.#lastError === null && errorCode(error) !== 'SLOT_STILL_HELD')
      say(`the primary cannot be reached: ${reason}; trying again`)
    log.warn({ err: error }, 'the primary cannot be reached')
    this.#lastError = reason
    this.#unreachableSinceMs ??= performance.now()
  }

  #unreachableFor(): string {
    return formatDuration(performance.now() - (this.#unreachableSinceMs ?? performance.now()))
  }
}

async function endHolder(db: Queryable, slot: RelaySlot): Promise<void> {
  await db.query(loadSql('relay/end-holder'), [slot.name, slot.holderPid])
}
