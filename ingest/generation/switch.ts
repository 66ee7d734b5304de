import { HomeportError } from '../../core/errors.ts'
import { confirmIngestLock } from '../store/lock.ts'
import type { Primary } from '../store/primary.ts'
import type { GenerationRow } from './decide.ts'

/**
 * Makes a complete generation the active one and retires the one before, in one transaction: a reader sees
 * one of them, never none and never two.
 *
 * @throws HomeportError GENERATION_INCOMPLETE when a segment still lacks its vector; nothing changes then.
 */
export async function activateGeneration(primary: Primary, id: number): Promise<void> {
  await primary.transaction(async (statements) => {
    await confirmIngestLock(statements)
    await statements.change('ingest/retire-active')
    const activated = await statements.change('ingest/activate-model', [id])
    if (activated === 1) return
    throw new HomeportError(
      'GENERATION_INCOMPLETE',
      `generation ${id} lacks vectors and was not switched to`,
      {
        hint: 'ingest embed',
      },
    )
  })
}

/** Gives up a generation that was being built; {@link cleanRetired} removes what it left. */
export async function abandonGeneration(primary: Primary, id: number): Promise<void> {
  await primary.transaction(async (statements) => {
    await confirmIngestLock(statements)
    await statements.change('ingest/retire-building', [id])
  })
}

/** Rows a transaction, so that no deletion is one long transaction for replication to hold back. */
const batchRows = 10_000

/** Removes what retired generations left, in batches. Stops between batches when asked; the next run goes on. */
export async function cleanRetired(
  primary: Primary,
  generations: readonly GenerationRow[],
  signal: AbortSignal,
): Promise<void> {
  for (const { id } of generations.filter((row) => row.state === 'retired')) {
    for (const table of ['ingest/delete-embeddings', 'ingest/delete-model-terms']) {
      let removed = batchRows
      while (removed === batchRows) {
        signal.throwIfAborted()
        removed = await primary.transaction(async (statements) => {
          await confirmIngestLock(statements)
          return statements.change(table, [id, batchRows])
        })
      }
    }
    await primary.change('ingest/delete-model', [id])
  }
}
