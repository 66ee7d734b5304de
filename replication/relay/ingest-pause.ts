import type { Queryable } from '../../core/db.ts'
import { loadSql } from '../../core/sql.ts'

/**
 * Asks ingest to wait: it stops before its next transaction, says why, and loses nothing. The request stands
 * until it is withdrawn, across restarts, and means nothing once the slot is gone or lost.
 */
export async function askIngestToPause(primary: Queryable, slot: string, reason: string): Promise<void> {
  await primary.query(loadSql('relay/ask-pause'), [slot, reason])
}

/** Lets ingest go on, as far as this slot is concerned. @returns whether it was asked to wait */
export async function withdrawPause(primary: Queryable, slot: string): Promise<boolean> {
  const result = await primary.query(loadSql('relay/withdraw-pause'), [slot])
  return (result.rowCount ?? 0) > 0
}
