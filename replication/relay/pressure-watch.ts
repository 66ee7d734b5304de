import type { Queryable } from '../../core/db.ts'
import { errorCode, errorMessage } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { loadSql } from '../../core/sql.ts'
import type { Pressure } from './flow.ts'
import { askIngestToPause, withdrawPause } from './ingest-pause.ts'
import type { Spool } from './spool/spool.ts'
import {
  judgeWalBudget,
  noWalHistory,
  readWalBudget,
  rememberWal,
  type WalAction,
  type WalFacts,
  type WalHistory,
  type WalLimits,
  type WalVerdict,
} from './wal-budget.ts'

export interface PressureWatchOptions {
  primary: Queryable
  slot: string
  spool: Spool
  limits: WalLimits
  /** RELAY_PRIMARY_DATA */
  dataFolder?: string
  /** the verdict has changed what the flow does */
  onChange: () => void
  say: (text: string) => void
  log: Logger
}

/** Looks at the primary's log budget and says what it means for the flow, and for ingest. */
export class PressureWatch implements Pressure {
  readonly #options: PressureWatchOptions
  #controller = new AbortController()
  #history: WalHistory = noWalHistory
  #facts: WalFacts | null = null
  #walLsn: string | null = null
  #verdict: WalVerdict | null = null
  /** null until it is known what an earlier process has asked for */
  #isIngestPaused: boolean | null = null
  #pauseTrouble: string | null = null

  constructor(options: PressureWatchOptions) {
    this.#options = options
  }

  get isOn(): boolean {
    return this.#history.action !== 'hold'
  }

  get isUrgent(): boolean {
    return this.isOn && (this.#verdict?.usedShare ?? 0) >= this.#options.limits.pauseShare
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Of the last look that succeeded. */
  get facts(): WalFacts | null {
    return this.#facts
  }

  /** How far the primary's log was then. */
  get walLsn(): string | null {
    return this.#walLsn
  }

  get verdict(): WalVerdict | null {
    return this.#verdict
  }

  get isIngestPaused(): boolean {
    return this.#isIngestPaused === true
  }

  /** Looks once. A primary that does not answer changes nothing: what it would say is not known. */
  async look(): Promise<void> {
    const { primary, slot, spool, limits, log, dataFolder } = this.#options
    try {
      const budget = await readWalBudget(primary, slot, dataFolder === undefined ? {} : { dataFolder })
      const facts = { ...budget, spool: await spool.space() }
      const { rows } = await primary.query<{ walLsn: string }>(loadSql('relay/wal-position'))
      this.#walLsn = rows[0]?.walLsn ?? null
      const verdict = judgeWalBudget(facts, this.#history, limits)
      const before = this.#history.action
      this.#history = rememberWal(this.#history, facts, verdict)
      this.#facts = facts
      this.#verdict = verdict
      if (before !== verdict.action) this.#changed(before, verdict)
      await this.#tellIngest(verdict)
    } catch (error) {
      log.debug({ err: error }, 'the log budget could not be read')
    }
  }

  #changed(before: WalAction, verdict: WalVerdict): void {
    const { say, onChange, log } = this.#options
    log.warn({ before, ...verdict }, 'the log budget')
    if (before === 'hold') {
      say(`the log that waits for the cloud grows: ${verdict.message}`)
      this.#controller.abort()
    } else if (verdict.action === 'hold') {
      say(`the log that waits for the cloud is small again: ${verdict.message}`)
      this.#controller = new AbortController()
    }
    onChange()
  }

  async #tellIngest(verdict: WalVerdict): Promise<void> {
    const { primary, slot, say, log } = this.#options
    const wanted = verdict.action === 'pauseIngest'
    if (wanted === this.#isIngestPaused) return
    try {
      const isSaid = wanted || (await withdrawPause(primary, slot))
      if (wanted) await askIngestToPause(primary, slot, verdict.message)
      this.#isIngestPaused = wanted
      this.#pauseTrouble = null
      if (isSaid) say(wanted ? `ingest is asked to wait: ${verdict.message}` : 'ingest may go on')
    } catch (error) {
      // It protects the disk; the relay goes on without it.
      if (this.#pauseTrouble === null)
        log.error({ err: error, code: errorCode(error) }, 'ingest could not be asked to wait')
      this.#pauseTrouble = errorMessage(error)
    }
  }
}
