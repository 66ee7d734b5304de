import type { Logger } from '../../../core/log.ts'
import { publishedTables as allPublishedTables, type PublishedTable } from '../../../core/published-tables.ts'
import { identifier, renderSql } from '../../../core/sql.ts'
import { applySteps } from '../../apply-steps.ts'
import { refuseOnErrors, type Finding } from '../../finding.ts'
import { judgeReaderUrl } from '../../prove-urls.ts'
import { withServers } from '../../servers.ts'
import type { Step } from '../../step.ts'
import type { VectorIndexReport } from '../../vector-index.ts'
import type { SeedProgress } from '../seed/seed-progress.ts'
import { describeSeed, planRelaySetup } from './plan.ts'
import { withPrimaryLock } from './primary-lock.ts'
import { judgeWriteUrl, proveReplicationUrl } from './prove.ts'
import type { SeedWay } from './seed-access.ts'
import { fillCloud } from './fill-cloud.ts'
import { readRelaySituation, type RelaySituation, type RelayUrls } from './situation.ts'

export interface RelaySetupOptions extends RelayUrls {
  /** LOCAL_DATABASE_URL */
  primaryUrl: string
  /** PRODUCTION_DATABASE_URL */
  cloudUrl: string
  /** how the initial copy reaches the cloud */
  way: SeedWay
  log: Logger
  /** Plans and prints, changes nothing. */
  dryRun?: boolean
  tables?: readonly PublishedTable[]
  /** parallel workers of the initial copy (default: 4, or as many as there are processors) */
  jobs?: number
  rangeRows?: number
  slotTimeoutMs?: number
  signal?: AbortSignal
  onWarning?: (finding: Finding) => void
  onStep?: (step: Step) => void
  onCopy?: (progress: SeedProgress) => void
  onNote?: (text: string) => void
}

export interface RelaySetupReport {
  /** whether anything was (or, in a dry run, would be) changed */
  changed: boolean
  steps: readonly Step[]
  warnings: readonly Finding[]
  slot: string
  /** null in a dry run, and when nothing was left to copy */
  copy: SeedProgress | null
  /** null in a dry run */
  index: VectorIndexReport | null
}

/**
 * Makes everything `ops relay` needs: roles, grants, publication, slot, progress row, and the initial copy
 * with the vector index after it. A second run changes nothing and reports so; one after a run that was
 * cut off goes on where it stopped.
 *
 * @throws HomeportError PREFLIGHT (or the one finding's code), exit 2, before anything is changed;
 * REPLICATION_ELSEWHERE, RELAY_ELSEWHERE, POOLED_CONNECTION, exit 2, before anything is copied; SETUP_RUNS;
 * else what applySteps and runSeed throw.
 */
export async function setupRelay(options: RelaySetupOptions): Promise<RelaySetupReport> {
  const tables = options.tables ?? allPublishedTables
  return withServers(options, async (servers) => {
    const situation = await readRelaySituation(options, tables, servers)
    const warnings: Finding[] = []
    const warn = (findings: readonly Finding[]): void => {
      for (const finding of findings.filter((one) => one.severity === 'warning')) {
        warnings.push(finding)
        options.onWarning?.(finding)
      }
    }
    warn(situation.findings)
    refuseOnErrors(situation.findings, 'the relay cannot be set up yet')
    const steps = planRelaySetup(situation, tables)
    const report = {
      changed: steps.length > 0 || situation.work !== null,
      steps: [...steps, ...describeSeed(situation, tables)],
      warnings,
      slot: situation.slot,
    }
    if (options.dryRun === true) return { ...report, copy: null, index: null }
    const change = async (): Promise<RelaySetupReport> => {
      await applySteps(steps, { ...options, ...servers })
      const identity = await proveReplicationUrl(options.replicationUrl, servers.primary)
      const proofs = await proveWriters(options, situation)
      warn(proofs)
      refuseOnErrors(proofs, 'the relay cannot write to the cloud yet')
      warn(await judgeReaderUrl(options.readerUrl, servers.cloud))
      const { copy, index } = await fillCloud({
        ...options,
        ...situation,
        identity,
        tables,
        what: 'ops setup-replication',
      })
      if (copy !== null) await analyze(situation, tables)
      const indexed = index.created || index.dropped.length > 0
      return { ...report, changed: report.changed || indexed, copy, index }
    }
    // What only looks needs no lock: a setup that is running elsewhere is no error for it.
    return report.changed ? withPrimaryLock(options.primaryUrl, change) : change()
  })
}

async function proveWriters(options: RelaySetupOptions, situation: RelaySituation): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const role of situation.writers) {
    const strict = role.setting === 'RELAY_DATABASE_URL' && options.way.kind === 'direct'
    findings.push(...(await judgeWriteUrl(role, situation.cloud, strict)))
  }
  return findings
}

/** Without it the first searches would plan on an empty table until autovacuum comes by. */
async function analyze({ cloud }: RelaySituation, tables: readonly PublishedTable[]): Promise<void> {
  for (const table of tables) {
    await cloud.pool.query(renderSql('replication/analyze', { table: identifier(table.name) }))
  }
}
