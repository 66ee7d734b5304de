import { readSystemIdentifier } from '../core/database-identity.ts'
import type { Queryable } from '../core/db.ts'
import { loadSql } from '../core/sql.ts'

/** What one server says about itself and about the role that asks. */
export interface ServerFacts {
  /** e.g. 150020 */
  versionNumber: number
  versionText: string
  role: string
  database: string
  databaseOid: string
  encoding: string
  /** set for this database or role; null when nobody has */
  clientEncoding: string | null
  /** seconds since 1970 with microseconds, as text: two servers never share it */
  startedAt: string
  /** null where the role may not read it */
  systemIdentifier: string | null
  inRecovery: boolean
  pgvector: string | null
  pgvectorSchema: string | null
  pgvectorAvailable: string | null
  walLevel: string
  maxSlots: number
  usedSlots: number
  maxWalSenders: number
  usedWalSenders: number
  maxOrigins: number
  usedOrigins: number
  maxLogicalWorkers: number
  usedLogicalWorkers: number
  maxWorkerProcesses: number
  syncWorkers: number
  slotWalKeepSize: string
  passwordEncryption: string
  /** its database has our subscription, or is filled by a relay */
  follows: boolean
  /** its database was made a primary by ops promote */
  promoted: boolean
  /** its database has our publication */
  publishes: boolean
  superuser: boolean
  replication: boolean
  createRole: boolean
  mayCreateSubscription: boolean
  mayCreateInDatabase: boolean
  ownsDatabase: boolean
}

export async function readServerFacts(db: Queryable): Promise<ServerFacts> {
  const { rows } = await db.query<Omit<ServerFacts, 'systemIdentifier' | 'promoted'>>(
    loadSql('checks/server'),
  )
  const facts = rows[0]
  if (facts === undefined) throw new Error('the server does not know its own role')
  const { relayed, promoted } = await readRecords(db)
  const follows = facts.follows || relayed
  return { ...facts, follows, promoted, systemIdentifier: await readSystemIdentifier(db) }
}

/** What a relay, or a promotion, has written down. */
async function readRecords(db: Queryable): Promise<{ relayed: boolean; promoted: boolean }> {
  const { rows: tables } = await db.query<{ present: boolean }>(loadSql('checks/relay-tables'))
  if (tables[0]?.present !== true) return { relayed: false, promoted: false }
  const { rows } = await db.query<{ relayed: boolean; promoted: boolean }>(loadSql('checks/is-relayed'))
  return rows[0] ?? { relayed: false, promoted: false }
}

/**
 * Whether two connections reach the same running server. A server restored from a physical copy
 * shares the system identifier, so the start time (microseconds) decides.
 */
export function isSameServer(
  a: Pick<ServerFacts, 'systemIdentifier' | 'startedAt'>,
  b: Pick<ServerFacts, 'systemIdentifier' | 'startedAt'>,
): boolean {
  const known = a.systemIdentifier !== null && b.systemIdentifier !== null
  return a.startedAt === b.startedAt && (!known || a.systemIdentifier === b.systemIdentifier)
}

/** The first number of a server's version: 150020 is 15. */
export function majorVersion(facts: Pick<ServerFacts, 'versionNumber'>): number {
  return Math.floor(facts.versionNumber / 10_000)
}

/** Compares dotted versions by number: negative when `a` is older. */
export function compareVersions(a: string, b: string): number {
  const left = a.split('.').map(Number)
  const right = b.split('.').map(Number)
  for (let place = 0; place < Math.max(left.length, right.length); place += 1) {
    const difference = (left[place] ?? 0) - (right[place] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
