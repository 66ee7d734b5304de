import type { Queryable } from './db.ts'
import { loadSql } from './sql.ts'

/** The session of a command that is the only one of its kind in a database. */
export interface LockHolder {
  lock: 'ingest' | 'monitor' | 'setup' | 'migrate'
  /** as the session names itself */
  name: string
  pid: number
  since: Date
  /** null on the server's own machine */
  address: string | null
  /** it is the session that asks */
  own: boolean
}

/** Null where nobody holds it. */
export async function findLockHolder(db: Queryable, lock: LockHolder['lock']): Promise<LockHolder | null> {
  const { rows } = await db.query<LockHolder>(loadSql('checks/lock-holders'))
  return pickHolder(rows, lock)
}

/** Pure: the one of all holders that has this lock. */
export function pickHolder(holders: readonly LockHolder[], lock: LockHolder['lock']): LockHolder | null {
  return holders.find((one) => one.lock === lock) ?? null
}

/** Pure: `homeport ingest 4711@studio (backend 815, from 10.0.0.7, since 2026-01-02T03:04:05.000Z)` */
export function describeHolder({ name, pid, address, since }: Omit<LockHolder, 'own' | 'lock'>): string {
  const from = address === null ? 'here' : `from ${address}`
  return `${name} (backend ${pid}, ${from}, since ${since.toISOString()})`
}
