import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { diskReason } from '../../../core/disk-reason.ts'
import { errorCode, HomeportError } from '../../../core/errors.ts'
import { asAlert } from '../history-lines.ts'
import type { Alert } from '../sample.ts'
import type { Notice, Way } from './notice.ts'

type Waiting = Partial<Record<Way['name'], readonly Notice[]>>

/**
 * What has not arrived yet, by way, in `undelivered.json` of the monitor's folder: who is killed between deciding and
 * delivering delivers it at the next start. A notice that arrived just before may arrive twice, none is lost.
 */
export class Outbox {
  readonly #path: string
  /** why what the last monitor left cannot be read; null when it can */
  readonly trouble: string | null
  #waiting: Waiting
  #queue: Promise<unknown> = Promise.resolve()

  /** Never throws: a file that is damaged is put aside, and said in {@link trouble}. */
  static async open(folder: string): Promise<Outbox> {
    const path = join(folder, 'undelivered.json')
    try {
      return new Outbox(path, asWaiting(JSON.parse(await readFile(path, 'utf8'))), null)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return new Outbox(path, {}, null)
      // Somebody may want to look at it; where even that fails, the next write says so.
      await rename(path, `${path}.damaged`).catch(() => undefined)
      return new Outbox(path, {}, errorCode(error) ?? 'it is damaged')
    }
  }

  private constructor(path: string, waiting: Waiting, trouble: string | null) {
    this.#path = path
    this.#waiting = waiting
    this.trouble = trouble
  }

  waiting(way: Way['name']): readonly Notice[] {
    return this.#waiting[way] ?? []
  }

  /** On disk when it resolves. @throws HomeportError HISTORY_NOT_WRITTEN; the file is as it was before. */
  async keep(way: Way['name'], notices: readonly Notice[]): Promise<void> {
    this.#waiting = { ...this.#waiting, [way]: notices }
    const mine = this.#queue.then(() => this.#write())
    // Whoever asked for it is told; the next one is not held up.
    this.#queue = mine.catch(() => undefined)
    return mine
  }

  async #write(): Promise<void> {
    const aside = `${this.#path}.writing`
    try {
      await writeFile(aside, JSON.stringify(this.#waiting), { mode: 0o600, flush: true })
      await rename(aside, this.#path)
    } catch (error) {
      await rm(aside, { force: true }).catch(() => undefined)
      const reason = diskReason(error)
      if (reason === undefined) throw error
      throw new HomeportError('HISTORY_NOT_WRITTEN', `alerts that wait cannot be kept on disk: ${reason}`, {
        hint: 'make room there, or name another folder: MONITOR_STATE_PATH',
        cause: error,
      })
    }
  }
}

/** Pure: the open alerts as they were decided: what was still on its way is newer than what the history tells. */
export function afterNotices(open: readonly Alert[], notices: readonly Notice[]): Alert[] {
  const key = ({ since, id }: Alert): string => `${since} ${id}`
  const alerts = new Map(open.map((alert) => [key(alert), alert] as const))
  for (const { kind, alert } of notices) {
    if (kind === 'over') alerts.delete(key(alert))
    else if (!alerts.has(key(alert))) alerts.set(key(alert), alert)
  }
  return [...alerts.values()]
}

const kinds: readonly unknown[] = ['raised', 'worse', 'over']

/** @throws Error when it is something else. */
function asWaiting(value: unknown): Waiting {
  if (typeof value !== 'object' || value === null) throw new Error('not an outbox')
  const { webhook = [], command = [] } = value as Record<string, unknown>
  return { webhook: asNotices(webhook), command: asNotices(command) }
}

function asNotices(value: unknown): Notice[] {
  const isNotice = (one: unknown): boolean => {
    const { kind, alert } = (one ?? {}) as Partial<Notice>
    return kinds.includes(kind) && asAlert(alert) !== undefined
  }
  if (!Array.isArray(value) || !value.every(isNotice)) throw new Error('not an outbox')
  return value as Notice[]
}
