import { formatBytes, formatDuration } from '../../core/amounts.ts'
import { defineCommand, wholeNumber, type Invocation } from '../../core/cli.ts'
import type { ExitCode } from '../../core/errors.ts'
import { describeFindings } from '../../replication/finding.ts'
import type { HealthLimits } from '../../replication/health-verdicts.ts'
import { checkReplication, type MonitorReport } from '../../replication/monitor/check.ts'
import { MonitorHistory } from '../../replication/monitor/history.ts'
import { sampleSlot } from '../../replication/monitor/server-look.ts'
import { refuseWrongServers } from '../../replication/server-verdicts.ts'
import { withServers } from '../../replication/servers.ts'
import type { TableVerification } from '../../replication/verify/verify-tables.ts'
import { describeRelay, relayToJson } from './describe-relay.ts'
import { formatTable } from './format-table.ts'
import { monitorSettings, verifySchedule } from './monitor-settings.ts'
import { stayAndWatch, testAlert } from './monitor-stay.ts'
import { serverUrls } from './server-urls.ts'

interface Options {
  once?: boolean
  testAlert?: boolean
  maxLagSeconds?: number
  maxLagBytes?: number
  beatSeconds: number
  verifySeconds?: number
  verifySchedule?: string
}

export const monitorCommand = defineCommand<Options>({
  name: 'monitor',
  summary:
    'Watch replication: heartbeat, lag, slot, disk, index, and an exact comparison of every published table',
  details:
    'With --once: one look; exit 3 on drift, on a limit that is passed, on rows in quarantine, on a disk that is\n' +
    'nearly full or a slot that ends soon, and on a slot, subscription or relay that does not work; exit 1 when a server\n' +
    'does not answer. Without: runs until it is stopped, the only one of its primary, and prints one line an event. What\n' +
    'lasts is raised once, said again when it becomes an error, and once when it is over: here, to ALERT_WEBHOOK_URL and\n' +
    'to ALERT_COMMAND, until it has arrived there, also after a restart; --test-alert tries both.\n' +
    'With --once --json: {"ok", "at", "lag": {bytes, seconds}, "slot": {name, active, walStatus, safeWalBytes, retainedBytes}|null,\n' +
    '"subscription": {enabled, running, applyErrors, syncErrors, tablesReady, tables}|null,\n' +
    '"relay": {slot, state, running, endLsn, epoch, batches, holder: {name, since, until, holds}|null,\n' +
    'stop: {code, message, hint}|null, conflicts, quarantined: [{table, rows}], ranges: {copied, all}}|null,\n' +
    '"tables": [{table, verdict, primaryRows, cloudRows, differences: [{key, kind, columns}], moreDifferences, reason}],\n' +
    '"index": {model, name, present}|null, "disk": {freeBytes, totalBytes}|null,\n' +
    '"forecast": {seconds, what}|null (by what a monitor that stays has seen),\n' +
    '"versions": {primary, cloud: {postgres, pgvector}}, "findings": [{code, side, severity, message, fix, table?}],\n' +
    '"remarks": [text]}. With --json alone: one line {at, event, message, alert?} an event; alert is {id, code, side, severity,\n' +
    'table, message, fix, since, until}. With --test-alert --json: {"ok", "ways": [{way, ok, error}]}.',
  examples: [
    ['monitor --once', 'a table of verdicts; for cron: exit 3 means look at it'],
    ['monitor --once --json --max-lag-seconds 60', 'the same for a program, and fail when a minute behind'],
    ['monitor --max-lag-seconds 300', 'stay and watch; compare every hour'],
    ['monitor --verify-schedule "30 3 * * *"', 'the same, and compare every night at half past three'],
    ['monitor --test-alert', 'whether an alert would arrive'],
  ],
  configure: (command) =>
    command
      .option('--once', 'look once and exit')
      .option('--test-alert', 'send one alert by every way that is set, and exit')
      .option(
        '--max-lag-seconds <seconds>',
        'an error when the cloud is further behind',
        wholeNumber({ min: 0, max: 604_800 }),
      )
      .option(
        '--max-lag-bytes <bytes>',
        'an error when more log is unconfirmed',
        wholeNumber({ min: 0, max: 2 ** 50 }),
      )
      .option('--beat-seconds <seconds>', 'time between heartbeats', wholeNumber({ min: 1, max: 3600 }), 5)
      .option(
        '--verify-schedule <cron>',
        'when the content is compared (default: MONITOR_VERIFY_SCHEDULE, else hourly)',
      )
      .option(
        '--verify-seconds <seconds>',
        'instead of a schedule: time between comparisons',
        wholeNumber({ min: 1, max: 604_800 }),
      ),
  run: (invocation) =>
    invocation.options.testAlert === true
      ? testAlert(invocation)
      : invocation.options.once === true
        ? lookOnce(invocation)
        : stay(invocation),
})

async function lookOnce({ options, out, signal }: Invocation<Options>): Promise<ExitCode> {
  const { primaryUrl, cloudUrl } = serverUrls()
  const { replicationUrl, dataFolder, statePath } = monitorSettings()
  const report = await withServers({ primaryUrl, cloudUrl }, ({ primary, cloud }) => {
    refuseWrongServers(primary.facts, cloud.facts)
    return checkReplication({
      primary: primary.pool,
      cloud: cloud.pool,
      primaryUrl,
      ...(replicationUrl === undefined ? {} : { replicationUrl }),
      ...(dataFolder === undefined ? {} : { dataFolder }),
      limits: limitsOf(options),
      history: MonitorHistory.find(statePath),
      signal,
    })
  })
  out.result(toJson(report), describe(report))
  return report.ok ? 0 : 3
}

async function stay({ options, out, signal, json }: Invocation<Options>): Promise<ExitCode> {
  const settings = monitorSettings()
  const schedule = verifySchedule(options)
  const { beatSeconds } = options
  await stayAndWatch(
    { ...serverUrls(), settings, schedule, limits: limitsOf(options), beatSeconds, signal },
    out,
    json,
  )
  return 0
}

function limitsOf({ maxLagSeconds, maxLagBytes }: Options): HealthLimits {
  return {
    ...(maxLagSeconds === undefined ? {} : { maxLagSeconds }),
    ...(maxLagBytes === undefined ? {} : { maxLagBytes }),
  }
}

function toJson(report: MonitorReport): unknown {
  const { slot, subscription, relay, workers, lag, index } = report.health
  return {
    ok: report.ok,
    at: report.at,
    lag,
    slot: slot === null ? null : sampleSlot(slot),
    subscription:
      subscription === null
        ? null
        : {
            enabled: subscription.enabled,
            running: (workers?.applyPid ?? null) !== null,
            applyErrors: workers?.applyErrors ?? 0,
            syncErrors: workers?.syncErrors ?? 0,
            tablesReady: subscription.tables.filter((table) => table.state === 'r').length,
            tables: subscription.tables.length,
          },
    relay: relayToJson(relay),
    tables: report.tables,
    index,
    disk: report.disk,
    forecast: report.forecast,
    versions: report.versions,
    findings: report.findings,
    remarks: report.remarks,
  }
}

function describe(report: MonitorReport): string {
  const { slot, relay, lag, index } = report.health
  const inQuarantine = new Set(relay?.quarantined.map((one) => one.table))
  const table = formatTable(
    ['table', 'verdict', 'primary', 'cloud'],
    report.tables.map((one) => [
      one.table,
      // Whatever the comparison says: rows that were put aside are not there.
      inQuarantine.has(one.table) ? `${one.verdict}, quarantine` : one.verdict,
      one.primaryRows,
      one.cloudRows,
    ]),
  )
  const behind = lag.seconds === null ? 'unknown' : `${lag.seconds.toFixed(2)} s`
  const lines = [
    table,
    ...report.tables.filter((one) => one.verdict === 'drift').map(describeDrift),
    '',
    `lag    ${behind}${lag.bytes === null ? '' : `, ${formatBytes(lag.bytes)}`}`,
    ...(slot === null
      ? []
      : [
          `slot   ${slot.name} ${slot.active ? 'active' : 'idle'}, ${slot.walStatus ?? 'unknown'}, keeps ${formatBytes(Number(slot.retainedBytes))}`,
        ]),
    ...(relay === null ? [] : [`relay  ${describeRelay(relay)}`]),
    ...(report.disk === null
      ? []
      : [
          `disk   ${formatBytes(report.disk.freeBytes)} free of ${formatBytes(report.disk.totalBytes)} for the primary's log`,
        ]),
    ...(report.forecast === null
      ? []
      : [`end    ${report.forecast.what} in ${formatDuration(report.forecast.seconds * 1000)}`]),
    ...(index === null ? [] : [`index  ${index.name} ${index.present ? 'present' : 'missing'}`]),
    ...report.remarks.map((remark) => `remark ${remark}`),
    ...(report.findings.length === 0 ? [] : ['', describeFindings(report.findings)]),
  ]
  return lines.join('\n')
}

function describeDrift(table: TableVerification): string {
  const lines = table.differences.map((difference) => {
    const columns = difference.columns.length === 0 ? '' : ` (${difference.columns.join(', ')})`
    return `  ${table.table} ${difference.key.join(', ')}: ${difference.kind}${columns}`
  })
  return [...lines, ...(table.moreDifferences ? [`  ${table.table}: and more`] : [])].join('\n')
}
