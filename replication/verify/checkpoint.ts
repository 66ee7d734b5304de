import { createHash, randomUUID } from 'node:crypto'
import { CheckpointFiles, type CheckpointFilesOptions } from './checkpoint-files.ts'
import { freshRanges, whyUnusable } from './checkpoint-guards.ts'
import {
  checkpointVersion,
  formatHead,
  formatRanges,
  parseCheckpoint,
  type CheckpointHead,
  type CheckpointText,
  type KeptRange,
} from './checkpoint-lines.ts'
import { readMoment, waitForFlush } from './checkpoint-moment.ts'
import { inOrder, keyOrderOf, type KeyOrder } from './key-order.ts'
import type { Throttle } from './pace.ts'
import type { KeyRange } from './row-hash.ts'
import type { Subject } from './subjects.ts'
import { findUnchanged, rowsOf } from './unchanged.ts'
import type { Window } from './window.ts'

export interface CheckpointOptions extends CheckpointFilesOptions {
  /** use nothing of an earlier run */
  anew?: boolean
}

/** What of a table's comparison did not have to be done again. */
export interface Reused {
  /** rows that an earlier run has compared, and that nobody wrote since */
  rowsFromEarlier: number
  /** when the first of them were compared, as ISO writes it; null where there are none */
  earlierSince: string | null
}

export const nothingReused: Reused = { rowsFromEarlier: 0, earlierSince: null }

/** What a comparison of one table in one window takes from an earlier run, and leaves for a later one. */
export interface TableCheckpoint {
  /** Ranges that are known to be the same on both sides, in the order of their keys. To be asked once, before `keep`. */
  findUnchanged(run: { throttle: Throttle; onRows: (rows: number) => void }): Promise<KeptRange[]>
  /** Ranges of this window that were hashed on both sides, and are the same. */
  keep(ranges: readonly { range: KeyRange; rows: number }[]): void
}

/**
 * How far a comparison came, for the case that it does not come to its end: every range of keys that was the same on both
 * sides. A later one opens its own window, and need not hash again what nobody wrote since ({@link whyUnusable}).
 * What differed is not kept, so a verdict is only ever made from what its own window shows.
 */
export class Checkpoint {
  readonly #options: CheckpointOptions
  readonly #files: CheckpointFiles
  readonly #earlier = new Map<string, CheckpointText | null>()
  readonly #reused = new Map<string, Reused>()
  readonly #flushed = new WeakMap<Window, Promise<boolean>>()
  readonly #said = new Set<string>()
  #hasKept = false

  private constructor(options: CheckpointOptions, files: CheckpointFiles) {
    this.#options = options
    this.#files = files
  }

  /** Null, said by a note, where nothing can be kept. */
  static open(options: CheckpointOptions): Checkpoint | null {
    const files = CheckpointFiles.open(options)
    return files === null ? null : new Checkpoint(options, files)
  }

  /** Whether a later run would find something. */
  get hasKept(): boolean {
    return this.#hasKept
  }

  reusedOf(table: string): Reused {
    return this.#reused.get(table) ?? nothingReused
  }

  /** For one look at a table; null where it cannot be told whether its rows were written. */
  async begin(window: Window, subject: Subject, signal?: AbortSignal): Promise<TableCheckpoint | null> {
    const { name } = subject.table
    const order = keyOrderOf(subject.primarySql.keyColumns)
    const now = order === null ? null : await this.#readHead(window, subject)
    if (order === null || now === null) {
      if (this.#readEarlier(name) !== null) this.#ignore(`rows of ${name} may change without being written`)
      return null
    }
    const flushed = this.#flushed.get(window) ?? waitForBoth(window, signal)
    this.#flushed.set(window, flushed)
    const isKeeping = await flushed
    const earlier = this.#usable(name, now, order)
    return {
      findUnchanged: async (run) => {
        const found = earlier === null ? [] : await findUnchanged({ ...run, ...earlier, window, subject })
        this.#reused.set(name, summarize(found))
        // They are the same in this window too; the file that says so of an earlier one stays until then.
        if (isKeeping) this.#files.replace(name, formatHead(now) + formatRanges(now.id, found))
        return found
      },
      keep: (ranges) => {
        if (!isKeeping || ranges.length === 0) return
        const at = Date.now()
        const kept = ranges.map(({ range, rows }) => ({ from: range.from, to: range.to, rows, at }))
        if (this.#files.append(name, formatRanges(now.id, kept))) this.#hasKept = true
      },
    }
  }

  /** These tables have their verdict: nothing is kept of them. */
  finish(tables: readonly string[]): void {
    for (const table of tables) this.#files.remove(table)
    this.#hasKept = false
  }

  close(): void {
    this.#files.close()
  }

  async #readHead(window: Window, subject: Subject): Promise<CheckpointHead | null> {
    const { servers } = this.#options
    const { name } = subject.table
    const [primary, cloud] = await Promise.all([
      readMoment(window.primary, name, servers.primary.systemIdentifier),
      readMoment(window.cloud, name, servers.cloud.systemIdentifier),
    ])
    // Or its rows may change without being written.
    if (typeof primary?.layout !== 'string' || typeof cloud?.layout !== 'string') return null
    return { version: checkpointVersion, id: randomUUID(), definition: definitionOf(subject), primary, cloud }
  }

  /** What an earlier run has left for a table; null, said by a note, where it is not to be used. */
  #usable(
    table: string,
    now: CheckpointHead,
    order: KeyOrder,
  ): { head: CheckpointHead; ranges: KeptRange[] } | null {
    const earlier = this.#readEarlier(table)
    if (earlier === null) return null
    const reason = whyUnusable(earlier.head, now)
    if (reason !== null) return this.#ignore(reason)
    const fresh = freshRanges(earlier.ranges, Date.now())
    if (fresh.length < earlier.ranges.length) this.#ignore('it is older than 24 hours')
    this.#hasKept ||= fresh.length > 0
    return { head: earlier.head, ranges: inOrder(fresh, order) }
  }

  /** As it was when this run began. */
  #readEarlier(table: string): CheckpointText | null {
    if (this.#options.anew === true) return null
    const known = this.#earlier.get(table)
    if (known !== undefined) return known
    const text = this.#files.read(table)
    const earlier = text === null ? null : parseCheckpoint(text)
    if (text !== null && earlier === null) this.#ignore('its file is damaged, or of another version')
    if ((earlier?.damaged ?? 0) > 0) this.#ignore('some of its lines are damaged')
    this.#earlier.set(table, earlier)
    return earlier
  }

  #ignore(reason: string): null {
    if (this.#said.has(reason)) return null
    this.#said.add(reason)
    this.#options.note(`what an earlier run has compared is compared again: ${reason}`)
    return null
  }
}

async function waitForBoth(window: Window, signal?: AbortSignal): Promise<boolean> {
  const flushed = await Promise.all([
    waitForFlush(window.primary, signal),
    waitForFlush(window.cloud, signal),
  ])
  return !flushed.includes(false)
}

/** Everything that the hashes are made by. */
function definitionOf({ primarySql, cloudSql }: Subject): string {
  return createHash('sha256')
    .update(JSON.stringify([primarySql, cloudSql]))
    .digest('hex')
}

function summarize(ranges: readonly KeptRange[]): Reused {
  if (ranges.length === 0) return nothingReused
  const first = Math.min(...ranges.map((one) => one.at))
  return { rowsFromEarlier: rowsOf(ranges), earlierSince: new Date(first).toISOString() }
}
