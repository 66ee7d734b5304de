import type { Queryable } from '../core/db.ts'
import { errorMessage } from '../core/errors.ts'
import { migrationState } from '../core/migrate.ts'
import { publishedTables } from '../core/published-tables.ts'
import { loadSql } from '../core/sql.ts'
import type { Finding, Side } from './finding.ts'
import { judgeHealth } from './health-verdicts.ts'
import { readHealth, type ReplicationHealth } from './health.ts'
import { readHeartbeat } from './heartbeat.ts'
import { openServer, type Server, type ServerUrls } from './servers.ts'
import { judgeServer, judgeServerPair } from './server-verdicts.ts'
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
}

export interface StatusReport {
  primary: ServerStatus
  cloud: ServerStatus
  /** null unless both answer and are migrated */
  replication: ReplicationHealth | null
  tables: readonly TableStatus[]
  /** the active model; null when there is none or nobody knows */
  model: ModelFacts | null
  findings: readonly Finding[]
}

/** Everything that can be known about both servers now, also when one of them does not answer. */
export async function readStatus(urls: ServerUrls): Promise<StatusReport> {
  const [primary, cloud] = await Promise.allSettled([
    openServer('primary', urls.primaryUrl),
    openServer('cloud', urls.cloudUrl),
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
    const replication = atHome !== null && away !== null ? await readHealth(atHome.pool, away.pool) : null
    const knows = atHome ?? away
    return {
      primary: primaryStatus,
      cloud: cloudStatus,
      replication,
      tables: await readTableStatus(atHome, away),
      model: knows === null ? null : await readActiveModel(knows.pool),
      findings: [
        ...(ours === null ? [] : judgeServer('primary', ours.facts)),
        ...(theirs === null ? [] : judgeServer('cloud', theirs.facts)),
        ...(ours === null || theirs === null ? [] : judgeServerPair(ours.facts, theirs.facts)),
        ...judgeMigrations('primary', primaryStatus),
        ...judgeMigrations('cloud', cloudStatus),
        ...(replication === null ? [] : judgeHealth(replication)),
      ],
    }
  } finally {
    await ours?.pool.end()
    await theirs?.pool.end()
  }
}

async function readServerStatus(opened: PromiseSettledResult<Server>): Promise<ServerStatus> {
  if (opened.status === 'rejected') {
    const error = errorMessage(opened.reason)
    return { error, version: null, pgvector: null, database: null, missingMigrations: [], heartbeatAt: null }
  }
  const { facts, pool, url } = opened.value
  const { missing } = await migrationState(url)
  const heartbeat = missing.length === 0 ? await readHeartbeat(pool) : null
  return {
    error: null,
    version: facts.versionText,
    pgvector: facts.pgvector,
    database: facts.database,
    missingMigrations: missing,
    heartbeatAt: heartbeat?.beatAt.toISOString() ?? null,
  }
}

function judgeMigrations(side: Side, status: ServerStatus): Finding[] {
  if (status.missingMigrations.length === 0) return []
  const message = `${status.missingMigrations.length} migrations are missing`
  return [{ code: 'NOT_MIGRATED', side, severity: 'error', message, fix: 'ops migrate' }]
}

async function readTableStatus(primary: Server | null, cloud: Server | null): Promise<TableStatus[]> {
  const [ours, theirs] = await Promise.all([countPresent(primary, true), countPresent(cloud, false)])
  const knows = primary ?? cloud
  const verified = knows === null ? new Map<string, Verification>() : await readVerifications(knows.pool)
  return publishedTables.map(({ name }) => ({
    table: name,
    primaryRows: ours.get(name) ?? null,
    cloudRows: theirs.get(name) ?? null,
    verdict: verified.get(name)?.verdict ?? null,
    checkedAt: verified.get(name)?.checkedAt.toISOString() ?? null,
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
}

async function readVerifications(db: Queryable): Promise<Map<string, Verification>> {
  const { rows } = await db.query<Verification>(loadSql('checks/verifications'))
  return new Map(rows.map((row) => [row.table, row]))
}

async function readActiveModel(db: Queryable): Promise<ModelFacts | null> {
  const { models } = await readVectorIndexState(db)
  return models.find((model) => model.state === 'active') ?? null
}
