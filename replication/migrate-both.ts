import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { migrate, migrationState } from '../core/migrate.ts'
import { sqlFolder } from '../core/sql.ts'
import { refuseOnErrors, type Finding, type Side } from './finding.ts'
import { judgeServer, judgeServerPair } from './server-verdicts.ts'
import { withServers, type ServerUrls } from './servers.ts'

export interface MigrateBothOptions extends ServerUrls {
  /** Names what is missing, changes nothing. */
  dryRun?: boolean
  onWarning?: (finding: Finding) => void
  onSide?: (side: Side) => void
}

export interface MigrateBothReport {
  /** names of the migrations that were (or, in a dry run, would be) applied */
  cloud: readonly string[]
  primary: readonly string[]
  warnings: readonly Finding[]
}

/**
 * Brings the schema of both servers up to date, the cloud first: a subscription stops at a column
 * that only the primary has, and ignores one that only the cloud has.
 *
 * @throws HomeportError, exit 2, when one of the servers cannot be used: absent, too old, a standby,
 * without pgvector, or both the same; else what migrate throws.
 */
export async function migrateBoth(options: MigrateBothOptions): Promise<MigrateBothReport> {
  const findings = await withServers(options, async ({ primary, cloud }) => [
    ...judgeServer('cloud', cloud.facts),
    ...judgeServer('primary', primary.facts),
    ...judgeServerPair(primary.facts, cloud.facts),
  ])
  const warnings = findings.filter((finding) => finding.severity === 'warning')
  for (const warning of warnings) options.onWarning?.(warning)
  refuseOnErrors(findings, 'these servers cannot be used')
  if (options.dryRun === true) {
    const cloud = await migrationState(options.cloudUrl)
    const primary = await migrationState(options.primaryUrl)
    return { cloud: cloud.missing, primary: primary.missing, warnings }
  }
  options.onSide?.('cloud')
  const cloud = await migrate(options.cloudUrl)
  options.onSide?.('primary')
  const primary = await migrate(options.primaryUrl)
  return { cloud: cloud.applied, primary: primary.applied, warnings }
}

/** The SQL of one migration. */
export function readMigration(name: string): string {
  return readFileSync(join(sqlFolder, 'migrations', name), 'utf8')
}
