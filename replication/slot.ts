import { createHash } from 'node:crypto'
import type { Queryable } from '../core/db.ts'
import { subscriptionName } from '../core/published-tables.ts'
import { loadSql } from '../core/sql.ts'
import type { ServerFacts } from './server-facts.ts'

export interface SlotFacts {
  name: string
  active: boolean
  activePid: number | null
  /** reserved, extended, unreserved or lost */
  walStatus: string | null
  /** bytes of log that may still be written before the slot is lost; null without a limit */
  safeWalBytes: string | null
  confirmedLsn: string | null
  currentLsn: string
  /** log that the primary keeps because of this slot */
  retainedBytes: string
  /** log that the cloud has not confirmed yet */
  lagBytes: string
}

/** All slots of ours in the primary's database, of whichever cloud. */
export async function readSlots(db: Queryable): Promise<SlotFacts[]> {
  const { rows } = await db.query<SlotFacts>(loadSql('checks/slots'), [slotPrefix])
  return rows
}

const slotPrefix = `${subscriptionName}_`

/**
 * The slot's name for one cloud database: the same at every run, another one for another cloud, so
 * that several may subscribe and a copy of a cloud never takes over its slot.
 */
export function slotNameFor(
  cloud: Pick<ServerFacts, 'systemIdentifier' | 'database' | 'databaseOid'>,
): string {
  const identity = [cloud.systemIdentifier ?? '', cloud.databaseOid, cloud.database].join('/')
  return slotPrefix + createHash('sha256').update(identity).digest('hex').slice(0, 10)
}
