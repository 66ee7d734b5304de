import { hostname } from 'node:os'
import { HomeportError } from '../../core/errors.ts'
import { parseLsn } from '../../core/lsn.ts'
import type { CloudDescription, LeaseRequest, Progress } from './cloud-link.ts'
import type { KnownHistory } from './history-check.ts'
import type { StoredMemory } from './memory-file.ts'
import type { PrimaryFacts } from './primary-facts.ts'
import type { PrimarySide } from './primary-side.ts'
import type { SchemaWatch } from './schema-watch.ts'
import type { Spool } from './spool/spool.ts'
import { judgeCloud, judgeIdentity, judgePair, judgePosition, judgeSlot, judgeSpool } from './start-checks.ts'

export interface GuardOptions {
  primary: PrimarySide
  spool: Spool
  schema: SchemaWatch
  holder: string
  leaseSeconds: number
  memory: StoredMemory | null
  signal: AbortSignal
}

/**
 * Puts what both sides say before the verdicts of start-checks.ts, at every connection to either, and remembers
 * how far the cloud was.
 */
export class Guard {
  readonly #options: GuardOptions
  #memory: StoredMemory | null
  #slot: string | null = null
  #startLsn: string | null = null
  #isSpoolDone = false
  #described: Progress | null = null

  constructor(options: GuardOptions) {
    this.#options = options
    this.#memory = options.memory
  }

  get memory(): StoredMemory | null {
    return this.#memory
  }

  /** Known once the cloud was reached. */
  get slot(): string | null {
    return this.#slot
  }

  /** Where reading goes on by the last look at the cloud; null before the first. */
  get startLsn(): string | null {
    return this.#startLsn
  }

  /** Whether the cloud has everything that lies in the spool, by the same look. */
  get isSpoolDone(): boolean {
    return this.#isSpoolDone
  }

  /** Begins with a slot that is remembered, before the cloud was asked. */
  assume(slot: string): void {
    this.#slot = slot
  }

  leaseRequest(slot: string): LeaseRequest {
    const { primary, holder, leaseSeconds } = this.#options
    const { facts } = primary
    if (facts === null) throw new Error('the primary was not asked yet')
    const holderName = `${hostname()}, process ${process.pid}`
    // A role that may not read the identifier learns it from the stream, and is judged then.
    const systemIdentifier =
      facts.systemIdentifier ?? this.#memory?.systemIdentifier ?? this.#described?.systemIdentifier
    const timeline = facts.timeline ?? this.#described?.timeline
    if (systemIdentifier === undefined || timeline === undefined) {
      throw new HomeportError('CATALOGUE', 'the primary does not say who it is')
    }
    return { slot, holder, holderName, leaseSeconds, systemIdentifier, timeline }
  }

  /** Before the lease is taken. @throws HomeportError, a verdict. */
  async checkCloud(cloud: CloudDescription): Promise<void> {
    const { primary, spool, signal } = this.#options
    this.#described = cloud.progress
    const facts = await primary.latestFacts(cloud.slot, signal)
    const memory = this.#memory?.slot === cloud.slot ? this.#memory : null
    const wrong =
      judgePair(facts, cloud, memory) ??
      judgeSpool(spool.slot, cloud.slot) ??
      judgeCloud(cloud) ??
      judgeSlot(facts.slot, cloud.slot, facts.database)
    if (wrong !== null) throw wrong
    this.#options.schema.look(facts, cloud)
    this.#slot = cloud.slot
  }

  /** With the lease, so that nobody else moves it any more. @throws HomeportError, a verdict. */
  checkProgress(progress: Progress): void {
    const { primary, spool } = this.#options
    const slot = primary.facts?.slot ?? null
    if (slot === null) throw new Error('the slot was not read yet')
    const position = judgePosition({
      progress,
      slot,
      spool:
        spool.firstAfter === null || spool.endLsn === null
          ? null
          : { firstAfter: spool.firstAfter, endLsn: spool.endLsn },
      memory: this.#isOf(progress) ? this.#memory : null,
    })
    if (position.error !== null) throw position.error
    this.#startLsn = position.startLsn
    this.#isSpoolDone = position.spoolIsDone
    this.remember(progress)
  }

  /** Before anything is read. @throws HomeportError PRIMARY_CHANGED or PRIMARY_REWOUND. */
  checkPrimary(facts: PrimaryFacts): void {
    const known = this.#memory
    if (known === null) return
    const wrong = judgeIdentity(facts, { ...known, endLsn: known.cloudLsn })
    if (wrong !== null) throw wrong
  }

  /** What the primary must still have; null when nothing is known. */
  get history(): KnownHistory | null {
    const known = this.#memory
    return known === null ? null : { commitLsn: known.commitLsn, endLsn: known.cloudLsn }
  }

  /** The cloud has confirmed this. */
  remember(progress: Progress): void {
    const { slot, systemIdentifier, timeline, sequence, commitLsn, endLsn } = progress
    this.#memory = { slot, systemIdentifier, timeline, sequence, commitLsn, cloudLsn: endLsn }
  }

  /** What is remembered of the same cloud and primary, when the cloud cannot be asked. */
  knows(facts: PrimaryFacts): StoredMemory | null {
    const known = this.#memory
    if (known === null || facts.timeline !== known.timeline) return null
    const isSame = facts.systemIdentifier === null || facts.systemIdentifier === known.systemIdentifier
    return isSame && parseLsn(facts.walLsn) >= parseLsn(known.cloudLsn) ? known : null
  }

  #isOf(progress: Progress): boolean {
    const known = this.#memory
    return (
      known !== null &&
      known.slot === progress.slot &&
      known.systemIdentifier === progress.systemIdentifier &&
      known.timeline === progress.timeline
    )
  }
}
