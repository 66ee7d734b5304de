import { HomeportError } from '../../core/errors.ts'
import type { Statements } from './primary.ts'

/** A relay's request to wait, because the log it cannot deliver fills its budget, its spool or the disk. */
export interface IngestPause {
  slot: string
  reason: string
  asked_at: Date
}

/** The oldest request that still means something; undefined when nobody asks, or the session ignores it. */
export async function readPause(statements: Statements): Promise<IngestPause | undefined> {
  const [pause] = await statements.rows<IngestPause>('ingest/pause')
  return pause
}

/** @throws HomeportError INGEST_PAUSED, with the relay's reason. */
export async function refuseWhenPaused(statements: Statements): Promise<void> {
  const pause = await readPause(statements)
  if (pause === undefined) return
  throw new HomeportError(
    'INGEST_PAUSED',
    `the relay asks ingest to wait since ${pause.asked_at.toISOString()}: ${pause.reason}`,
    {
      hint: 'ops status shows when the cloud has caught up; run this again then: it goes on where it stopped (--ignore-pause goes on now)',
    },
  )
}
