import { DayFiles, dayMs, endOfDay } from './day-files.ts'
import { asAlert } from './history-lines.ts'
import type { Alert } from './sample.ts'

/** The alerts of the history: a line when one is raised or gets worse, and a line when it is over. */
export class AlertFiles {
  readonly #files: DayFiles
  readonly #unreadable = new Map<string, number>()

  constructor(folder: string) {
    this.#files = new DayFiles(folder, 'alerts')
  }

  /** Of all files as they were last read. */
  get unreadableLines(): number {
    return [...this.#unreadable.values()].reduce((sum, count) => sum + count, 0)
  }

  async add(alert: Alert): Promise<void> {
    await this.#files.append(new Date(alert.until ?? alert.since), alert)
  }

  /** Each alert as it was last told; the oldest first. */
  async all(): Promise<Alert[]> {
    const latest = new Map<string, Alert>()
    for (const day of await this.#files.days()) {
      let lost = 0
      for await (const line of this.#files.read(day)) {
        const alert = line === 'unreadable' ? undefined : asAlert(line.value)
        if (alert === undefined) lost += 1
        else keepLatest(latest, alert)
      }
      this.#unreadable.set(day, lost)
    }
    return [...latest.values()].sort((one, other) => one.since.localeCompare(other.since))
  }

  /** Removes the days that are older; an alert that lasts is told anew. Returns how many files went. */
  async prune(now: Date, keepDays: number): Promise<number> {
    const days = await this.#files.days()
    const old = days.filter((day) => endOfDay(day) <= now.getTime() - keepDays * dayMs)
    if (old.length === 0) return 0
    for (const alert of await this.all()) {
      if (alert.until === null) await this.#files.append(now, alert)
    }
    for (const day of old) {
      await this.#files.remove(day)
      this.#unreadable.delete(day)
    }
    return old.length
  }
}

/** What is over stays over, also when a clock that went back put its end into an earlier file. */
function keepLatest(latest: Map<string, Alert>, alert: Alert): void {
  const key = `${alert.since} ${alert.id}`
  const isOver = (latest.get(key)?.until ?? null) !== null
  if (alert.until !== null || !isOver) latest.set(key, alert)
}
