import { createReadStream } from 'node:fs'
import { chmod, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { diskReason } from '../../core/disk-reason.ts'
import { errorCode, HomeportError } from '../../core/errors.ts'

/** One line of a day file: what it holds, or that it cannot be read. */
export type DayLine = { value: unknown } | 'unreadable'

export const dayMs = 86_400_000
const newline = 0x0a
/** No line of ours is longer; what is has been written by somebody else. */
const longestLine = 1_048_576

/**
 * JSON lines in a folder of their own, one file a day (UTC) and kind: samples-2026-01-02.jsonl. Closed to everyone
 * else. A line that a crash cut off spoils neither the lines before it nor those after it. Not synced: a power cut
 * may take the last seconds.
 */
export class DayFiles {
  readonly folder: string
  readonly #kind: string

  constructor(folder: string, kind: string) {
    this.folder = resolve(folder)
    this.#kind = kind
  }

  /** Adds a line to a day's file. @throws HomeportError HISTORY_NOT_WRITTEN where the disk does not take it. */
  async append(at: Date, value: unknown): Promise<void> {
    try {
      const file = await open(this.pathOf(dayOf(at)), 'a+', 0o600)
      try {
        const text = `${(await endsInLine(file)) ? '' : '\n'}${JSON.stringify(value)}\n`
        await file.appendFile(text)
      } finally {
        await file.close()
      }
    } catch (error) {
      throw explainWriteError(error, this.folder)
    }
  }

  /** The days that there are files of, oldest first; none where there is no folder. */
  async days(): Promise<string[]> {
    const entries = await readdir(this.folder, { withFileTypes: true }).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return []
      throw error
    })
    const pattern = new RegExp(`^${this.#kind}-(\\d{4}-\\d{2}-\\d{2})\\.jsonl$`)
    return entries
      .flatMap((entry) => (entry.isDirectory() ? [] : (pattern.exec(entry.name)?.[1] ?? [])))
      .sort()
  }

  /** The lines of a day, in the order in which they were written, as they are read; none when its file is gone by now. */
  async *read(day: string): AsyncGenerator<DayLine> {
    let rest = ''
    let isTooLong = false
    try {
      for await (const chunk of createReadStream(this.pathOf(day), 'utf8')) {
        const lines = (rest + String(chunk)).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) {
          if (isTooLong) yield 'unreadable'
          else if (line !== '') yield parseLine(line)
          isTooLong = false
        }
        if (rest.length <= longestLine) continue
        // The end of it is looked for, and nothing of it kept.
        isTooLong = true
        rest = ''
      }
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return
      throw error
    }
    if (isTooLong) yield 'unreadable'
    else if (rest !== '') yield parseLine(rest)
  }

  /** Puts these lines in place of a day's, or leaves that as it was. @throws HomeportError HISTORY_NOT_WRITTEN. */
  async replace(day: string, values: readonly unknown[]): Promise<void> {
    const aside = `${this.pathOf(day)}.writing`
    try {
      await writeFile(aside, values.map((value) => `${JSON.stringify(value)}\n`).join(''), {
        mode: 0o600,
        flush: true,
      })
      await rename(aside, this.pathOf(day))
    } catch (error) {
      await rm(aside, { force: true })
      throw explainWriteError(error, this.folder)
    }
  }

  async remove(day: string): Promise<void> {
    await rm(this.pathOf(day), { force: true })
  }

  pathOf(day: string): string {
    return join(this.folder, `${this.#kind}-${day}.jsonl`)
  }
}

/** Makes the folder, for this user alone. @throws HomeportError HISTORY_NOT_WRITTEN. */
export async function makeHistoryFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await chmod(folder, 0o700)
  } catch (error) {
    throw explainWriteError(error, resolve(folder))
  }
}

/** The day of a file, as ISO writes it, UTC. */
export function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10)
}

/** When a day is over, in milliseconds since 1970. */
export function endOfDay(day: string): number {
  return Date.parse(`${day}T00:00:00Z`) + dayMs
}

async function endsInLine(file: Awaited<ReturnType<typeof open>>): Promise<boolean> {
  const { size } = await file.stat()
  if (size === 0) return true
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
  return buffer[0] === newline
}

function parseLine(line: string): DayLine {
  try {
    return { value: JSON.parse(line) as unknown }
  } catch {
    // Cut off by a crash or a full disk: counted by who reads.
    return 'unreadable'
  }
}

function explainWriteError(error: unknown, path: string): unknown {
  const reason = diskReason(error)
  if (reason === undefined) return error
  return new HomeportError(
    'HISTORY_NOT_WRITTEN',
    `the monitor cannot keep its history in ${path}: ${reason}`,
    { hint: 'make room there, or name another folder: MONITOR_STATE_PATH', cause: error },
  )
}
