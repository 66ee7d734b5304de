import { errorCode, errorMessage } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { Marks } from './cloud-state.ts'
import type { Collection } from './collection.ts'
import { isSaveDue } from './refresh-plan.ts'
import { saveSnapshot } from './snapshot.ts'

interface Saved {
  collection: Collection
  version: number
  asOfMs: number
  at: number
}

/** Decides when the collection is worth a file, and writes it. */
export class SnapshotKeeper {
  readonly #path: string
  readonly #log: Logger
  #saved: Saved | undefined
  #failure: string | undefined

  constructor({ snapshotPath, log }: { snapshotPath: string; log: Logger }) {
    this.#path = snapshotPath
    this.#log = log
  }

  /** Why the file is not up to date, as a code, until it can be written. */
  get failure(): string | undefined {
    return this.#failure
  }

  /** This is what the file holds. */
  restored(collection: Collection): void {
    this.#saved = {
      collection,
      version: collection.version,
      asOfMs: collection.asOf.getTime(),
      at: performance.now(),
    }
  }

  /**
   * Writes the file if it is due; a failure is logged, and the old file stays. The collection must not
   * change meanwhile.
   *
   * @param last there is no next time: whatever is new is written now
   */
  async save(collection: Collection, watermark: Marks, last: boolean): Promise<void> {
    const saved = this.#saved
    const changed =
      this.#failure !== undefined ||
      saved?.collection !== collection ||
      saved.version !== collection.version ||
      // Nothing new for hours is news as well, and worth a file when there is no next time.
      (last && saved.asOfMs !== collection.asOf.getTime())
    const sinceSaveMs = last || saved === undefined ? Infinity : performance.now() - saved.at
    if (!isSaveDue({ segments: collection.size, changed, everSaved: saved !== undefined, sinceSaveMs }))
      return
    // Also when it fails: a full disk is not asked again at once.
    this.restored(collection)
    try {
      await saveSnapshot(this.#path, collection, watermark)
      this.#log.debug({ segments: collection.size }, 'the in-memory index is saved')
      this.#failure = undefined
    } catch (error) {
      const code = errorCode(error) ?? 'SNAPSHOT_WRITE'
      const level = this.#failure === code ? 'debug' : 'warn'
      this.#failure = code
      this.#log[level]({ code, reason: errorMessage(error) }, 'the snapshot could not be written')
    }
  }
}
