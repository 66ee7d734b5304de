import { createHash } from 'node:crypto'
import { sleep } from '../core/backoff.ts'
import type { Queryable } from '../core/db.ts'
import { subscriptionName } from '../core/published-tables.ts'
import { loadSql } from '../core/sql.ts'
import { readSystemIdentifier } from '../core/database-identity.ts'
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

/** The name of the slot of this cloud, asked of the cloud itself. */
export async function readSlotName(cloud: Queryable): Promise<string> {
  const { rows } = await cloud.query<{ database: string; databaseOid: string }>(loadSql('checks/database'))
  const { database = '', databaseOid = '' } = rows[0] ?? {}
  return slotNameFor({ systemIdentifier: await readSystemIdentifier(cloud), database, databaseOid })
}

/**
 * Drops a slot, also when its reader has just gone and the primary has not noticed; true when it is gone.
 * With `endsReader` a reader that stays for a second is ended; without, one that stays for five keeps its slot.
 */
export async function dropSlot(
  primary: Queryable,
  name: string,
  options: { endsReader: boolean },
): Promise<boolean> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const dropped = await primary.query(loadSql('replication/drop-idle-slot'), [name])
    const now = (await readSlots(primary)).find((one) => one.name === name)
    if ((dropped.rowCount ?? 0) > 0 || now === undefined) return true
    if (options.endsReader && attempt >= 20 && now.activePid !== null) {
      await primary.query('select pg_terminate_backend($1)', [now.activePid])
    }
    await sleep(50)
  }
  return false
}
