import type { Queryable } from '../../core/db.ts'
import { loadSql } from '../../core/sql.ts'
import { readSlotName } from '../slot.ts'
import type { Progress } from './cloud-link.ts'

/** What the cloud has written down about the relay that fills it. */
export interface RelayState extends Progress {
  /** why the relay ended; all null while it did not */
  stopCode: string | null
  stopMessage: string | null
  stopHint: string | null
  /** who has or had the lease: host and process */
  holderName: string | null
  heldSince: Date | null
  holderUntil: Date | null
  /** the lease has not run out: somebody writes, or may */
  isHeld: boolean
  updatedAt: Date
  /** of the initial copy */
  ranges: { all: number; copied: number; rows: number; tables: readonly string[] }
  /** updates and deletes that found no row, resolved and recorded */
  conflicts: number
  /** rows that the cloud refused and that were put aside, by table */
  quarantined: readonly { table: string; rows: number }[]
}

/** Whether the migration that makes the relay's tables was applied. */
export async function hasRelayTables(cloud: Queryable): Promise<boolean> {
  const { rows } = await cloud.query<{ present: boolean }>(loadSql('checks/relay-tables'))
  return rows[0]?.present === true
}

/** The state of every relay this database has a record of; none where the tables are not there. */
export async function readRelayStates(cloud: Queryable): Promise<RelayState[]> {
  if (!(await hasRelayTables(cloud))) return []
  return (await cloud.query<RelayState>(loadSql('checks/relay-state'))).rows
}

/**
 * The state of the relay that fills this database; null when none does. A record of another slot came
 * here with a copy of another cloud, and says nothing about this one.
 */
export async function readRelayState(cloud: Queryable): Promise<RelayState | null> {
  const states = await readRelayStates(cloud)
  if (states.length === 0) return null
  const slot = await readSlotName(cloud)
  return states.find((state) => state.slot === slot) ?? null
}
