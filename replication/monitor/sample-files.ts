import { DayFiles, dayMs, dayOf, endOfDay } from './day-files.ts'
import { asSample, type StoredSample } from './history-lines.ts'
import type { MonitorSample } from './sample.ts'
import { SampleThinner } from './thin-samples.ts'

/** Days that are kept as they were seen; of older ones the worst look of each minute is. */
const wholeDays = 2
const minutesADay = 1440

/** The samples of the history: samples-DAY.jsonl as they came, and minutes-DAY.jsonl of days that are over. */
export class SampleFiles {
  readonly #seen: DayFiles
  readonly #minutes: DayFiles
  readonly #unreadable = new Map<string, number>()
  /** the tables that the last line of this process names, and the day of its file */
  #told = ''

  constructor(folder: string) {
    this.#seen = new DayFiles(folder, 'samples')
    this.#minutes = new DayFiles(folder, 'minutes')
  }

  /** Of all files as they were last read. */
  get unreadableLines(): number {
    return [...this.#unreadable.values()].reduce((sum, count) => sum + count, 0)
  }

  async add(sample: MonitorSample): Promise<void> {
    const at = new Date(sample.at)
    const told = `${dayOf(at)} ${JSON.stringify(sample.tables)}`
    const line = told === this.#told ? withoutTables(sample) : sample
    // A line that fails may be half there: the next one says all.
    this.#told = ''
    await this.#seen.append(at, line)
    this.#told = told
  }

  /** Hands every sample since then over, day by day. */
  async each(sinceMs: number, take: (sample: MonitorSample) => void): Promise<void> {
    for (const files of [this.#minutes, this.#seen]) {
      for (const day of await files.days()) {
        if (endOfDay(day) <= sinceMs) continue
        for await (const sample of this.#read(files, day)) {
          if (Date.parse(sample.at) >= sinceMs) take(sample)
        }
      }
    }
  }

  /** Removes what is older than `keepDays`, and condenses what is older than two. Returns how many files went. */
  async prune(now: Date, keepDays: number): Promise<number> {
    const isOlder = (days: number) => (day: string) => endOfDay(day) <= now.getTime() - days * dayMs
    let removed = 0
    for (const files of [this.#minutes, this.#seen]) {
      for (const day of (await files.days()).filter(isOlder(keepDays))) {
        await this.#remove(files, day)
        removed += 1
      }
    }
    for (const day of (await this.#seen.days()).filter(isOlder(wholeDays))) await this.#condense(day)
    return removed
  }

  /** Killed in the middle, it leaves both files: the next time both are read. */
  async #condense(day: string): Promise<void> {
    const endMs = endOfDay(day)
    const thinner = new SampleThinner({ fromMs: endMs - dayMs, toMs: endMs - 1, atMost: minutesADay })
    for (const files of [this.#minutes, this.#seen]) {
      for await (const sample of this.#read(files, day)) thinner.add(sample)
    }
    // Damage stays where somebody may look at it.
    if ((this.#unreadable.get(this.#seen.pathOf(day)) ?? 0) > 0) return
    await this.#minutes.replace(day, withoutRepeats(thinner.samples()))
    await this.#remove(this.#seen, day)
  }

  async #remove(files: DayFiles, day: string): Promise<void> {
    await files.remove(day)
    this.#unreadable.delete(files.pathOf(day))
  }

  async *#read(files: DayFiles, day: string): AsyncGenerator<MonitorSample> {
    let tables: MonitorSample['tables'] | undefined
    let lost = 0
    for await (const line of files.read(day)) {
      const sample = line === 'unreadable' ? undefined : asSample(line.value)
      // After a line that is lost nobody knows what "the same again" is.
      tables = sample === undefined ? undefined : (sample.tables ?? tables)
      if (sample === undefined || tables === undefined) lost += 1
      else yield { ...sample, tables }
    }
    this.#unreadable.set(files.pathOf(day), lost)
  }
}

/** Proofs change every few minutes and are the larger part: a line without them means the same again. */
function withoutTables(sample: MonitorSample): StoredSample {
  const line: StoredSample = { ...sample }
  delete line.tables
  return line
}

function withoutRepeats(samples: readonly MonitorSample[]): StoredSample[] {
  let told = ''
  return samples.map((sample) => {
    const tables = JSON.stringify(sample.tables)
    const line = tables === told ? withoutTables(sample) : sample
    told = tables
    return line
  })
}
