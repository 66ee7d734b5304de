import { formatBytes } from '../../core/amounts.ts'
import { describeFindings } from '../../replication/finding.ts'
import type { MonitorPresence } from '../../replication/monitor/presence.ts'
import type { Alert } from '../../replication/monitor/sample.ts'
import type { SlotFacts } from '../../replication/slot.ts'
import type { ServerStatus, StatusReport } from '../../replication/status.ts'
import { describeRelay } from './describe-relay.ts'
import { formatTable } from './format-table.ts'

/** Everything on one screen. With `troubleFirst` what is wrong stands above the tables, for a screen that cuts off. */
export function describeStatus(
  report: StatusReport,
  monitor: MonitorPresence,
  { troubleFirst = false }: { troubleFirst?: boolean } = {},
): string {
  const isSilent = report.primary.error !== null && report.cloud.error !== null
  const never = isSilent ? '?' : 'never'
  const tables = formatTable(
    ['table', 'primary', 'cloud', 'last verified', 'in full'],
    report.tables.map((one) => [
      one.table,
      one.primaryRows ?? '?',
      one.cloudRows ?? '?',
      one.verdict === null ? never : `${one.verdict} ${one.checkedAt ?? ''}`,
      one.fullAt ?? never,
    ]),
  )
  const alerts = alertsBeside(report, monitor.alerts ?? [])
  const trouble = [
    ...(report.findings.length === 0 ? [] : ['', describeFindings(report.findings)]),
    ...(alerts.length === 0 ? [] : ['', 'the monitor says', ...alerts.map(describeAlert)]),
  ]
  return [
    describeServer('primary', report.primary),
    describeServer('cloud', report.cloud),
    describeReplication(report),
    report.model === null
      ? `model    ${isSilent ? 'unknown while no server answers' : 'none active'}`
      : `model    ${report.model.id}, ${report.model.dimensions} dimensions`,
    `monitor  ${describeMonitor(report, monitor)}`,
    ...(troubleFirst ? [...trouble, '', tables] : ['', tables, ...trouble]),
  ].join('\n')
}

/** What the monitor says and this look does not. */
function alertsBeside({ findings }: StatusReport, alerts: readonly Alert[]): Alert[] {
  return alerts.filter(
    ({ code, side, table }) =>
      !findings.some((one) => one.code === code && one.side === side && (one.table ?? null) === table),
  )
}

function describeAlert({ severity, side, message, since, fix }: Alert): string {
  return `${severity === 'error' ? '✗' : '!'} ${side}: ${message} (since ${since})\n    ${fix}`
}

function describeMonitor(report: StatusReport, monitor: MonitorPresence): string {
  const { url, alerts, historyError } = monitor
  const open = alerts === null ? 0 : alerts.length
  const count = open === 0 ? 'no open alert' : `${open} open alert${open === 1 ? '' : 's'}`
  if (url !== null) return `running: ${url}, ${count}`
  const last = alerts === null ? '' : `; when it last looked: ${count}`
  const trouble = historyError === null ? '' : `; its history cannot be read: ${historyError}`
  if (report.monitorSession !== null) return `running: ${report.monitorSession}${last}${trouble}`
  const isKnown = report.primary.error === null
  return `${isKnown ? 'not running: ops monitor' : 'does not answer here'}${last}${trouble}`
}

function describeServer(name: string, server: ServerStatus): string {
  const label = name.padEnd(8)
  if (server.error !== null) return `${label} ${server.error}`
  const beat = server.heartbeatAt === null ? 'no heartbeat yet' : `heartbeat ${server.heartbeatAt}`
  return `${label} Postgres ${server.version ?? '?'}, pgvector ${server.pgvector ?? 'missing'}, ${beat}`
}

function describeSlot({ name, active, walStatus, retainedBytes, safeWalBytes }: SlotFacts): string {
  const left =
    safeWalBytes === null ? '' : `, ${formatBytes(Math.max(0, Number(safeWalBytes)))} until it is cut`
  const state = walStatus === 'lost' ? 'lost' : active ? 'active' : 'idle'
  return `${name} ${state}, keeps ${formatBytes(Number(retainedBytes))} of log${left}`
}

function describeReplication(report: StatusReport): string {
  const health = report.replication
  if (health === null) {
    const slots = (report.slots ?? []).map((slot) => `\nslot     ${describeSlot(slot)}`)
    return `follows  unknown while not both servers are there and migrated${slots.join('')}`
  }
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
