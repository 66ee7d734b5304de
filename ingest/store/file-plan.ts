import { sep } from 'node:path'
import type { InputFiles } from '../identity.ts'

/** A row of `ingested_files`. */
export interface KnownFile {
  path: string
  source_id: string
  /** Hex. */
  input_hash: string
  /** How many segments its source has. */
  segments: number
}

/** A transcript that lies there now. */
export interface FoundFile extends InputFiles {
  inputHash: Buffer
}

export interface FilePlan {
  /** To be read: new, or different from what was stored. */
  pending: FoundFile[]
  unchanged: KnownFile[]
}

/** Decides which files have to be read at all. */
export function planFiles(found: readonly FoundFile[], known: ReadonlyMap<string, KnownFile>): FilePlan {
  const plan: FilePlan = { pending: [], unchanged: [] }
  for (const file of found) {
    const before = known.get(file.path)
    if (before?.input_hash === file.inputHash.toString('hex')) plan.unchanged.push(before)
    else plan.pending.push(file)
  }
  return plan
}

/** Whether a path is one of some folders or files, or lies in one of them. */
export function liesUnder(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => path === root || path.startsWith(root.endsWith(sep) ? root : root + sep))
}

/** Removing more than this part of what is known looks like a disk that is not mounted. */
export const pruneShareWithoutYes = 0.5

/** Whether a prune takes so much that a person has to say yes. */
export function prunesTooMuch(gone: number, known: number): boolean {
  return gone > known * pruneShareWithoutYes
}

/**
 * Which file stands for which source, so that one source is not taken from two files. A file that is about
 * to be read again gives up its claim until then (it may turn out to be another source), and so does a
 * track that was passed over for another one of the same video.
 */
export class SourceClaims {
  readonly #pathOf = new Map<string, string>()

  constructor(known: Iterable<KnownFile>, pending: readonly FoundFile[], passedOver: ReadonlySet<string>) {
    const open = new Set([...passedOver, ...pending.map((file) => file.path)])
    for (const { path, source_id } of known) if (!open.has(path)) this.#pathOf.set(source_id, path)
  }

  /** The other path that stands for a source, if any. */
  otherOwner(sourceId: string, path: string): string | undefined {
    const owner = this.#pathOf.get(sourceId)
    return owner === path ? undefined : owner
  }

  claim(sourceId: string, path: string): void {
    this.#pathOf.set(sourceId, path)
  }
}
