import { setTimeout as delay } from 'node:timers/promises'
import type { Queryable } from '../core/db.ts'
import { errorCode, errorMessage, HomeportError } from '../core/errors.ts'
import { describeHolder, findLockHolder } from '../core/lock-holder.ts'
import { migrationState } from '../core/migrate.ts'
import { readDatabaseIdentity } from '../core/database-identity.ts'
import { publishedTables } from '../core/published-tables.ts'
import { loadSql } from '../core/sql.ts'
import type { Finding, Side } from './finding.ts'
import { judgeHealth } from './health-verdicts.ts'
import { readHealth, type ReplicationHealth } from './health.ts'
import { readHeartbeat } from './heartbeat.ts'
import { judgeSchema } from './schema-verdicts.ts'
import { openServer, type Server, type ServerUrls } from './servers.ts'
import { judgeServer, judgeServerPair } from './server-verdicts.ts'
import { readSlots, type SlotFacts } from './slot.ts'
import { countRows, readTableFacts } from './table-facts.ts'
import { readVectorIndexState, type ModelFacts } from './vector-index.ts'

export interface ServerStatus {
  /** why it does not answer; null when it does */
  error: string | null
  version: string | null
  pgvector: string | null
  database: string | null
  /** migrations that it lacks */
  missingMigrations: readonly string[]
  /** ISO time of its last heartbeat */
  heartbeatAt: string | null
}

export interface TableStatus {
  table: string
  /** published rows; null when the primary does not answer */
  primaryRows: number | null
  cloudRows: number | null
  /** of the last verification that a server which answers knows of */
  verdict: string | null
  checkedAt: string | null
  /** when every row was last compared and was the same */
  fullAt: string | null
}

export interface StatusReport {
  /** ISO */
  at: string
  primary: ServerStatus
  cloud: ServerStatus
  /** null unless both answer and are migrated */
  replication: ReplicationHealth | null
  /** our slots at the primary, also while the cloud is away: it is then that their log grows; null when it does not answer */
  slots: readonly SlotFacts[] | null
  tables: readonly TableStatus[]
  /** the active model; null when there is none or nobody knows */
  model: ModelFacts | null
  /** the session of the monitor that watches this primary; null when there is none or nobody knows */
  monitorSession: string | null
  findings: readonly Finding[]
}

/**
 * Everything that can be known about both servers now, also when one of them does not answer. A statement may take
 * `queryTimeoutMs`; without it as long as it does.
 */
export async function readStatus(urls: ServerUrls, queryTimeoutMs?: number): Promise<StatusReport> {
  const [primary, cloud] = await Promise.allSettled([
    openServer('primary', urls.primaryUrl, queryTimeoutMs),
    openServer('cloud', urls.cloudUrl, queryTimeoutMs),
  ])
  const ours = primary.status === 'fulfilled' ? primary.value : null
  const theirs = cloud.status === 'fulfilled' ? cloud.value : null
  try {
    const [primaryStatus, cloudStatus] = await Promise.all([
      readServerStatus(primary),
      readServerStatus(cloud),
    ])
    const usable = (server: Server | null, status: ServerStatus): Server | null =>
      status.missingMigrations.length === 0 ? server : null
    const atHome = usable(ours, primaryStatus)
    const away = usable(theirs, cloudStatus)
    const replication =
      atHome !== null && away !== null ? await unlessAltered(readHealth(atHome.pool, away.pool)) : null
    const knows = atHome ?? away
    return {
      at: new Date().toISOString(),
      primary: primaryStatus,
      cloud: cloudStatus,
      replication,
      slots: ours === null ? null : await readSlots(ours.pool),
      tables: await readTableStatus(atHome, away),
      model: knows === null ? null : await unlessAltered(readActiveModel(knows.pool)),
      monitorSession: ours === null ? null : await readMonitorSession(ours.pool),
      findings: [
        ...judgeReach('primary', primary),
        ...judgeReach('cloud', cloud),
        ...(ours === null ? [] : judgeServer('primary', ours.facts)),
        ...(theirs === null ? [] : judgeServer('cloud', theirs.facts)),
        ...(ours === null || theirs === null ? [] : judgeServerPair(ours.facts, theirs.facts)),
        ...judgeMigrations('primary', primaryStatus),
        ...judgeMigrations('cloud', cloudStatus),
        ...(replication === null ? [] : judgeHealth(replication)),
        ...(atHome === null || away === null ? [] : await judgeTables(atHome, away)),
      ],
    }
  } finally {
    // A server that hangs does not answer a farewell either.
    const closed = Promise.all([ours?.pool.end(), theirs?.pool.end()])
    await Promise.race([closed, delay(2000, undefined, { ref: false })])
  }
}

async function readServerStatus(opened: PromiseSettledResult<Server>): Promise<ServerStatus> {
  if (opened.status === 'rejected') {
    const error = errorMessage(opened.reason)
    return { error, version: null, pgvector: null, database: null, missingMigrations: [], heartbeatAt: null }
  }
  const { facts, pool, url } = opened.value
  const { missing } = await migrationState(url)
  const heartbeat = missing.length === 0 ? await unlessAltered(readHeartbeat(pool)) : null
  return {
    error: null,
    version: facts.versionText,
    pgvector: facts.pgvector,
    database: facts.database,
    missingMigrations: missing,
    heartbeatAt: heartbeat?.beatAt.toISOString() ?? null,
  }
}

/** Null where somebody took away a table or column that it asks for: a finding about the schema names it. */
async function unlessAltered<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer
  } catch (error) {
    if (['42P01', '42703'].includes(errorCode(error) ?? '')) return null
    throw error
  }
}

function judgeReach(side: Side, opened: PromiseSettledResult<Server>): Finding[] {
  if (opened.status === 'fulfilled') return []
  const error: unknown = opened.reason
  const code = error instanceof HomeportError ? error.code : 'DATABASE_UNREACHABLE'
  const hint = error instanceof HomeportError ? error.hint : undefined
  const fix = hint ?? 'start the server, and run ops status again'
  return [{ code, side, severity: 'error', message: errorMessage(error), fix }]
}

function judgeMigrations(side: Side, status: ServerStatus): Finding[] {
  const { missingMigrations } = status
  const [first] = missingMigrations
  if (first === undefined) return []
  const count = missingMigrations.length
  const message =
    count === 1 ? `the migration ${first} is missing` : `${count} migrations are missing, from ${first} on`
  return [{ code: 'NOT_MIGRATED', side, severity: 'error', message, fix: 'ops migrate' }]
}

async function judgeTables(primary: Server, cloud: Server): Promise<Finding[]> {
  const [ours, theirs] = await Promise.all([
    readTableFacts(primary.pool, publishedTables),
    readTableFacts(cloud.pool, publishedTables),
  ])
  return judgeSchema({ tables: publishedTables, primary: ours, cloud: theirs })
}

async function readTableStatus(primary: Server | null, cloud: Server | null): Promise<TableStatus[]> {
  const [ours, theirs] = await Promise.all([
    unlessAltered(countPresent(primary, true)),
    unlessAltered(countPresent(cloud, false)),
  ])
  const knows = primary ?? cloud
  const about = cloud === null ? null : await readDatabaseIdentity(cloud.pool)
  const verified = knows === null ? null : await unlessAltered(readVerifications(knows.pool, about))
  return publishedTables.map(({ name }) => ({
    table: name,
    primaryRows: ours?.get(name) ?? null,
    cloudRows: theirs?.get(name) ?? null,
    verdict: verified?.get(name)?.verdict ?? null,
    checkedAt: verified?.get(name)?.checkedAt.toISOString() ?? null,
    fullAt: verified?.get(name)?.fullAt?.toISOString() ?? null,
  }))
}

async function countPresent(server: Server | null, published: boolean): Promise<Map<string, number>> {
  if (server === null) return new Map()
  const present = await readTableFacts(server.pool, publishedTables)
  const tables = publishedTables.filter((table) => present.has(table.name))
  return countRows(server.pool, { tables, published })
}

interface Verification {
  table: string
  verdict: string
  checkedAt: Date
  fullAt: Date | null
}

/** `about`: the cloud, null where it does not say which it is. */
async function readVerifications(db: Queryable, about: string | null): Promise<Map<string, Verification>> {
  const { rows } = await db.query<Verification>(loadSql('checks/verifications'), [about])
  return new Map(rows.map((row) => [row.table, row]))
}

async function readActiveModel(db: Queryable): Promise<ModelFacts | null> {
  const { models } = await readVectorIndexState(db)
  return models.find((model) => model.state === 'active') ?? null
}

async function readMonitorSession(primary: Queryable): Promise<string | null> {
  const holder = await findLockHolder(primary, 'monitor')
  return holder === null ? null : describeHolder(holder)
}
