import { existsSync } from 'node:fs'
import { AlertFiles } from './alert-files.ts'
import { makeHistoryFolder } from './day-files.ts'
import { SampleFiles } from './sample-files.ts'
import type { Alert, MonitorSample } from './sample.ts'
import { SampleThinner } from './thin-samples.ts'

export interface HistoryOptions {
  /** made when it is not there, for this user alone */
  folder: string
  /** default 30 */
  keepDays?: number
}

/**
 * What the monitor saw, on disk: samples and alerts. One process writes; others may read meanwhile.
 * Lines that cannot be read are skipped and counted.
 */
export class MonitorHistory {
  readonly #samples: SampleFiles
  readonly #alerts: AlertFiles
  readonly #keepDays: number
  #queue: Promise<unknown> = Promise.resolve()

  /** @throws HomeportError HISTORY_NOT_WRITTEN when the folder cannot be made. */
  static async open(options: HistoryOptions): Promise<MonitorHistory> {
    await makeHistoryFolder(options.folder)
    return new MonitorHistory(options)
  }

  /** One that is there, to be read; null when there is none. */
  static find(folder: string): MonitorHistory | null {
    return existsSync(folder) ? new MonitorHistory({ folder }) : null
  }

  private constructor({ folder, keepDays }: HistoryOptions) {
    this.#samples = new SampleFiles(folder)
    this.#alerts = new AlertFiles(folder)
    this.#keepDays = keepDays ?? 30
  }

  /** Lines that could not be read, of all files as they were last read. */
  get unreadableLines(): number {
    return this.#samples.unreadableLines + this.#alerts.unreadableLines
  }

  /** @throws HomeportError HISTORY_NOT_WRITTEN when the disk is full; later samples can be added all the same. */
  async addSample(sample: MonitorSample): Promise<void> {
    await this.#inTurn(() => this.#samples.add(sample))
  }

  /**
   * Records that an alert is raised, or, with `until`, that it is over.
   *
   * @throws HomeportError HISTORY_NOT_WRITTEN when the disk is full.
   */
  async addAlert(alert: Alert): Promise<void> {
    await this.#inTurn(() => this.#alerts.add(alert))
  }

  /** The alerts that are not over, the oldest first. */
  async openAlerts(): Promise<Alert[]> {
    return (await this.#alerts.all()).filter((alert) => alert.until === null)
  }

  /** The alerts that lasted at some time since, in milliseconds since 1970; the oldest first. */
  async alerts({ sinceMs }: { sinceMs: number }): Promise<Alert[]> {
    const all = await this.#alerts.all()
    return all.filter(({ until }) => until === null || Date.parse(until) >= sinceMs)
  }

  /**
   * The samples since then, in milliseconds since 1970, thinned evenly in time: of each of `atMost` periods up to
   * now the worst. The oldest first.
   */
  async samples({ sinceMs, atMost }: { sinceMs: number; atMost: number }): Promise<MonitorSample[]> {
    const thinner = new SampleThinner({ fromMs: sinceMs, toMs: Math.max(sinceMs, Date.now()), atMost })
    await this.#samples.each(sinceMs, (sample) => thinner.add(sample))
    return thinner.samples()
  }

  /**
   * Removes the days that are older than is kept; of those before yesterday the worst look of each minute stays, and
   * an alert that lasts stays. Returns how many files went.
   *
   * @throws HomeportError HISTORY_NOT_WRITTEN when the disk is full, after it has removed what it could.
   */
  async prune(now: Date): Promise<number> {
    return this.#inTurn(async () => {
      const samples = await this.#samples.prune(now, this.#keepDays)
      return samples + (await this.#alerts.prune(now, this.#keepDays))
    })
  }

  /** One write at a time, in the order in which they were asked for. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#queue.then(work)
    // Whoever asked for it is told; the next one is not held up.
    this.#queue = mine.catch(() => undefined)
    return mine
  }
}
