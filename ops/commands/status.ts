import { formatBytes } from '../../core/amounts.ts'
import { defineCommand } from '../../core/cli.ts'
import { describeFindings } from '../../replication/finding.ts'
import { readStatus, type ServerStatus, type StatusReport } from '../../replication/status.ts'
import { describeRelay, relayToJson } from './describe-relay.ts'
import { formatTable } from './format-table.ts'
import { serverUrls } from './server-urls.ts'

export const statusCommand = defineCommand({
  name: 'status',
  summary: 'Show both servers, replication, tables and the active model on one screen',
  details:
    'Compares no content (ops monitor --once does) and works when one server is down; exit 1 then.\n' +
    'With --json: {"primary", "cloud": {error, version, pgvector, database, missingMigrations, heartbeatAt},\n' +
    '"replication": {subscription, relay, workers, slot, otherSlots, lag, index}|null (relay: as in ops monitor),\n' +
    '"tables": [{table, primaryRows, cloudRows, verdict, checkedAt}], "model": {id, dimensions, state}|null,\n' +
    '"findings": [{code, side, severity, message, fix}]}',
  examples: [
    ['status', 'how are things'],
    ['status --json', 'the same for a program'],
  ],
  async run({ out }) {
    const report = await readStatus(serverUrls())
    const { replication } = report
    const relay = relayToJson(replication?.relay ?? null)
    out.result(
      { ...report, replication: replication === null ? null : { ...replication, relay } },
      describe(report),
    )
    return report.primary.error === null && report.cloud.error === null ? 0 : 1
  },
})

function describe(report: StatusReport): string {
  const tables = formatTable(
    ['table', 'primary', 'cloud', 'last verified'],
    report.tables.map((one) => [
      one.table,
      one.primaryRows ?? '?',
      one.cloudRows ?? '?',
      one.verdict === null ? 'never' : `${one.verdict} ${one.checkedAt ?? ''}`,
    ]),
  )
  return [
    describeServer('primary', report.primary),
    describeServer('cloud', report.cloud),
    describeReplication(report),
    report.model === null
      ? 'model    none active'
      : `model    ${report.model.id}, ${report.model.dimensions} dimensions`,
    '',
    tables,
    ...(report.findings.length === 0 ? [] : ['', describeFindings(report.findings)]),
  ].join('\n')
}

function describeServer(name: string, server: ServerStatus): string {
  const label = name.padEnd(8)
  if (server.error !== null) return `${label} ${server.error}`
  const beat = server.heartbeatAt === null ? 'no heartbeat yet' : `heartbeat ${server.heartbeatAt}`
  return `${label} Postgres ${server.version ?? '?'}, pgvector ${server.pgvector ?? 'missing'}, ${beat}`
}

function describeReplication(report: StatusReport): string {
  const health = report.replication
  if (health === null) return 'follows  unknown while not both servers are there and migrated'
  const lag = health.lag.seconds === null ? 'no heartbeat yet' : `${health.lag.seconds.toFixed(1)} s behind`
  const kept =
    health.slot === null ? 'slot lost' : `slot keeps ${formatBytes(Number(health.slot.retainedBytes))}`
  if (health.relay !== null) return `relay    ${describeRelay(health.relay)}, ${lag}, ${kept}`
  if (health.subscription === null) return 'follows  no: ops setup-replication'
  const { tables, enabled } = health.subscription
  const ready = tables.filter((table) => table.state === 'r').length
  const state = enabled
    ? (health.workers?.applyPid ?? null) === null
      ? 'not connected'
      : 'yes'
    : 'switched off'
  return `follows  ${state}: ${ready} of ${tables.length} tables, ${lag}, ${kept}`
}
