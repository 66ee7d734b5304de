import { errorMessage, HomeportError } from '../../core/errors.ts'
import type { Queryable } from '../../core/db.ts'
import { loadSql } from '../../core/sql.ts'
import type { Finding } from '../finding.ts'
import { judgeTables } from '../health-verdicts.ts'
import type { Seen } from './alerts.ts'
import { summarize } from './check.ts'
import { measureRecall } from './recall.ts'
import type { Alert, MonitorSample } from './sample.ts'
import type { Schedule } from './schedule.ts'
import type { ServerLook, Servers } from './server-look.ts'
import type { MonitorEvent } from './teller.ts'
import { follows, judgeRecall, raisedCodes } from './verdicts.ts'
import { ContentVerifier, type VerificationOptions, type Verified } from './verification.ts'

export interface ContentWatchOptions
  extends Servers, Pick<VerificationOptions, 'primaryUrl' | 'replicationUrl'> {
  schedule: Schedule
  signal: AbortSignal
  say: (event: MonitorEvent['event'], message: string) => void
  /** those that last */
  alerts: () => Alert[]
  /** milliseconds between two measurements of the index (default 55 min: one an hour) */
  recallEveryMs?: number
}

const retryMs = 60_000
const fenceTimeoutMs = 30_000

/** Compares the content when it is due, measures the vector index, and prunes; one at a time, while the looks go on. */
export class ContentWatch {
  readonly #options: ContentWatchOptions
  readonly #verifier: ContentVerifier
  #running: Promise<void> | null = null
  #seen: Seen[] = []
  #isProven: boolean | null = null
  #recall: MonitorSample['recall'] = null
  #recalledMs = -Infinity

  constructor(options: ContentWatchOptions) {
    this.#options = options
    const { primary, cloud, primaryUrl, replicationUrl } = options
    this.#verifier = new ContentVerifier({
      primary,
      cloud,
      fenceTimeoutMs,
      ...(primaryUrl === undefined ? {} : { primaryUrl }),
      ...(replicationUrl === undefined ? {} : { replicationUrl }),
    })
  }

  /** The last measurement of the cloud's vector index. */
  get recall(): MonitorSample['recall'] {
    return this.#recall
  }

  /**
   * Begins when it is due and nothing runs. While nothing brings changes to the cloud it waits: nothing could be
   * proven, and why it is so has been said.
   */
  startIfDue(look: ServerLook): void {
    const { schedule } = this.#options
    if (this.#running !== null || !follows(look.health) || !schedule.isDue(Date.now())) return
    schedule.begun(Date.now())
    this.#running = this.#run(look).finally(() => (this.#running = null))
  }

  /** What was found since this was asked last, and whether everything was as it should be; null without a comparison. */
  take(): { seen: Seen[]; isProven: boolean | null } {
    const taken = { seen: this.#seen, isProven: this.#isProven }
    this.#seen = []
    this.#isProven = null
    return taken
  }

  /** Waits for what runs; the signal has ended it. */
  async close(): Promise<void> {
    await this.#running
    await this.#verifier.close()
  }

  async #run(look: ServerLook): Promise<void> {
    const { signal, schedule, say } = this.#options
    try {
      await this.#verify(look)
      this.#seen.push({ source: 'verify', findings: [] })
    } catch (error) {
      if (signal.aborted) return
      schedule.retryAt(Date.now() + retryMs)
      this.#isProven = false
      this.#seen.push({ source: 'verify', findings: [failed(error)] })
      return
    }
    try {
      await this.#measure()
      await this.#prune()
    } catch (error) {
      // What is wrong with the servers, the next look finds and says.
      if (!signal.aborted) say('remark', `tombstones could not be pruned: ${errorMessage(error)}`)
    }
  }

  async #verify(look: ServerLook): Promise<void> {
    const { signal, say } = this.#options
    const verified = await this.#verifier.verify(signal)
    say('verified', summarize(verified, look.health.lag.seconds))
    this.#isProven = verified.tables.every(({ verdict }) => verdict === 'match')
    const drifts = this.#options.alerts().filter(({ code }) => code === 'DRIFT')
    this.#seen.push({ source: 'content', findings: judgeContent(verified, drifts) })
  }

  async #prune(): Promise<void> {
    const { primary, say } = this.#options
    const pruned = await pruneTombstones(primary)
    if (pruned > 0) say('pruned', `${pruned} tombstones older than 7 days`)
  }

  /** What cannot be measured, as on a server that is too slow for it, is no finding. */
  async #measure(): Promise<void> {
    const { cloud, signal, say, alerts, recallEveryMs = 55 * 60_000 } = this.#options
    if (performance.now() - this.#recalledMs < recallEveryMs) return
    this.#recalledMs = performance.now()
    try {
      this.#recall = await measureRecall({ cloud, signal })
    } catch (error) {
      signal.throwIfAborted()
      say('recall', `the vector index could not be measured: ${errorMessage(error)}`)
      return
    }
    this.#seen.push({ source: 'recall', findings: judgeRecall(this.#recall, raisedCodes(alerts())) })
    if (this.#recall === null) return
    const { recallAt10, queries, model } = this.#recall
    const share = `${(recallAt10 * 100).toFixed(1)} %`
    say('recall', `the index of model ${model} finds ${share} of the nearest ten, by ${queries} vectors`)
  }
}

/** Tables that could not be compared for one common reason are one finding. */
const fewTables = 3

/**
 * Pure: what a comparison found. Drift lasts until the table is proven to be the same: one that could not be compared
 * is still what it was.
 *
 * @param drifts the alerts of drift that last
 */
export function judgeContent(
  { tables, findings }: Omit<Verified, 'comparedRows'>,
  drifts: readonly Alert[],
): Finding[] {
  const found = [...findings, ...judgeTables(tables).map((finding) => keepDrift(finding, drifts))]
  const open = found.filter(({ code }) => code === 'UNDETERMINED')
  const [first] = open
  if (first === undefined || open.length <= fewTables) return found
  const { code, side, severity, fix } = first
  const message = `${open.length} tables could not be compared; ${first.message}`
  return [...found.filter((one) => !open.includes(one)), { code, side, severity, message, fix }]
}

function keepDrift(finding: Finding, drifts: readonly Alert[]): Finding {
  const drift = drifts.find(({ table }) => table === finding.table)
  if (finding.code !== 'UNDETERMINED' || drift === undefined) return finding
  const { code, severity, message, fix } = drift
  return { ...finding, code, severity, message, fix }
}

function failed(error: unknown): Finding {
  const hint = error instanceof HomeportError ? error.hint : undefined
  return {
    code: 'VERIFY_FAILED',
    side: 'primary',
    severity: 'warning',
    message: `the comparison did not come to its end: ${errorMessage(error)}`,
    fix: hint ?? 'ops verify shows what is in its way',
  }
}

/** Deletes tombstones that every follower has read long ago. Returns how many. */
export async function pruneTombstones(primary: Queryable, days = 7): Promise<number> {
  const result = await primary.query(loadSql('replication/prune-tombstones'), [days])
  return result.rowCount ?? 0
}
