import { createHash } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { diskReason } from '../../core/disk-reason.ts'
import { errorCode } from '../../core/errors.ts'
import { tryFileLock, type FileLock } from '../../core/file-lock.ts'
import type { ServerFacts } from '../server-facts.ts'
import { keptForMs } from './checkpoint-guards.ts'
import type { Tier } from './tier.ts'

export interface CheckpointFilesOptions {
  folder: string
  servers: Record<'primary' | 'cloud', Pick<ServerFacts, 'systemIdentifier' | 'databaseOid' | 'database'>>
  tier: Tier
  /** says what is not kept, and why */
  note: (text: string) => void
}

const anyFile = /^[0-9a-f]{12}-\w+\.\w+\.jsonl(\.writing)?$/

/**
 * A file a table and tier, in a folder for this user alone: they hold keys of rows, never what else is in a row. For one
 * process at a time and pair of servers. Not synced: what a power cut takes is compared again. A disk that does
 * not take them is said once, and then nothing is kept: a comparison does not fail for that.
 */
export class CheckpointFiles {
  readonly #options: CheckpointFilesOptions
  readonly #folder: string
  readonly #prefix: string
  readonly #lock: FileLock
  #isUsable = true

  private constructor(options: CheckpointFilesOptions, folder: string, prefix: string, lock: FileLock) {
    this.#options = options
    this.#folder = folder
    this.#prefix = prefix
    this.#lock = lock
  }

  /** Null, said by a note, where another process keeps them, or the disk does not let us. */
  static open(options: CheckpointFilesOptions): CheckpointFiles | null {
    const folder = resolve(options.folder)
    const prefix = nameOf(options.servers)
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      chmodSync(folder, 0o700)
      const lock = tryFileLock(join(folder, `${prefix}.lock`))
      if ('release' in lock) return new CheckpointFiles(options, folder, prefix, lock)
      options.note(
        `process ${lock.heldBy ?? '?'} compares these servers too: this run keeps nothing for a later one`,
      )
    } catch (error) {
      noteDiskError(options, folder, error)
    }
    return null
  }

  /** Null where there is none. */
  read(table: string): string | null {
    return this.#try(() => {
      try {
        return readFileSync(this.#pathOf(table), 'utf8')
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return null
        throw error
      }
    })
  }

  /** Puts a file in place of another, or leaves that as it was. */
  replace(table: string, text: string): void {
    this.#try(() => {
      const path = this.#pathOf(table)
      writeFileSync(`${path}.writing`, text, { mode: 0o600 })
      renameSync(`${path}.writing`, path)
    })
  }

  /** Whether it is written. */
  append(table: string, text: string): boolean {
    const append = (): true => {
      appendFileSync(this.#pathOf(table), text, { mode: 0o600 })
      return true
    }
    return this.#try(append) ?? false
  }

  remove(table: string): void {
    this.#try(() => rmSync(this.#pathOf(table), { force: true }))
  }

  /** Lets the next process have them; whatever nobody came back for goes. */
  close(): void {
    this.#try(() => removeOld(this.#folder))
    this.#isUsable = false
    this.#lock.release()
  }

  #pathOf(table: string): string {
    return join(this.#folder, `${this.#prefix}-${table}.${this.#options.tier}.jsonl`)
  }

  #try<T>(work: () => T): T | null {
    if (!this.#isUsable) return null
    try {
      return work()
    } catch (error) {
      this.#isUsable = false
      noteDiskError(this.#options, this.#folder, error)
      return null
    }
  }
}

/** Servers of other pairs do not get in each other's way. */
function nameOf({ primary, cloud }: CheckpointFilesOptions['servers']): string {
  const names = [primary, cloud].map(({ systemIdentifier, databaseOid, database }) => [
    systemIdentifier,
    databaseOid,
    database,
  ])
  return createHash('sha256').update(JSON.stringify(names)).digest('hex').slice(0, 12)
}

function removeOld(folder: string): void {
  for (const name of readdirSync(folder).filter((one) => anyFile.test(one))) {
    const path = join(folder, name)
    const modified = statSync(path, { throwIfNoEntry: false })?.mtimeMs
    if (modified !== undefined && Date.now() - modified > keptForMs) rmSync(path, { force: true })
  }
}

/** @throws what is not about the disk. */
function noteDiskError({ note }: Pick<CheckpointFilesOptions, 'note'>, folder: string, error: unknown): void {
  const reason = diskReason(error) ?? errorCode(error)
  if (reason === undefined) throw error
  note(`nothing is kept for a later run in ${folder} (VERIFY_STATE_PATH): ${reason}`)
}
