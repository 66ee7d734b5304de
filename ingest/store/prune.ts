import { HomeportError } from '../../core/errors.ts'
import { liesUnder, prunesTooMuch, type KnownFile } from './file-plan.ts'
import { isGone } from './gone.ts'
import type { Primary } from './primary.ts'
import { removeSource } from './write-source.ts'

export interface PruneOptions {
  primary: Primary
  /** Real paths of the given folders and files. */
  roots: readonly string[]
  known: readonly KnownFile[]
  /** A person said that it may take most of what is known. */
  yes: boolean
  dryRun: boolean
  signal: AbortSignal
}

/**
 * Removes the sources whose file lay under the given paths and is gone. A file that cannot be looked at is
 * not gone.
 *
 * @returns the sources it removed
 * @throws HomeportError PRUNE_REFUSED when that would be more than half of what was known there.
 */
export async function pruneSources(options: PruneOptions): Promise<KnownFile[]> {
  const { primary, known, roots, signal } = options
  const there = known.filter((file) => liesUnder(file.path, roots))
  const gone: KnownFile[] = []
  for (const file of there) if (await isGone(file.path)) gone.push(file)
  if (!options.yes && prunesTooMuch(gone.length, there.length)) {
    throw new HomeportError(
      'PRUNE_REFUSED',
      `${gone.length} of ${there.length} known sources have no file any more: nothing was pruned`,
      { hint: 'check that the disk is there; if they are meant to go, add --yes' },
    )
  }
  if (options.dryRun) return gone
  for (const { path, source_id } of gone) {
    signal.throwIfAborted()
    await removeSource(primary, { path, sourceId: source_id })
  }
  return gone
}
