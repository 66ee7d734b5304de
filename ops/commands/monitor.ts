import { formatBytes } from '../../core/amounts.ts'
import { defineCommand, wholeNumber, type Output } from '../../core/cli.ts'
import { describeFindings } from '../../replication/finding.ts'
import type { HealthLimits } from '../../replication/health-verdicts.ts'
import { checkReplication, runMonitor, type MonitorReport } from '../../replication/monitor.ts'
import { refuseWrongServers } from '../../replication/server-verdicts.ts'
import { withServers } from '../../replication/servers.ts'
import type { TableVerification } from '../../replication/verify/verify-tables.ts'
import { describeRelay, relayToJson } from './describe-relay.ts'
import { formatTable } from './format-table.ts'
import { serverUrls } from './server-urls.ts'

interface Options {
  once?: boolean
  maxLagSeconds?: number
  maxLagBytes?: number
  beatSeconds: number
  verifySeconds: number
}

export const monitorCommand = defineCommand<Options>({
  name: 'monitor',
  summary: 'Watch replication: heartbeat, lag, slot, and an exact comparison of every published table',
  details:
    'With --once: one look; exit 3 on drift, on a limit that is passed, on rows in quarantine, and on a slot,\n' +
    'subscription or relay that does not work; exit 1 when a server does not answer. Without: runs until it is stopped and prints one line an event.\n' +
    'With --once --json: {"ok", "at", "lag": {bytes, seconds}, "slot": {name, active, walStatus, safeWalBytes, retainedBytes}|null,\n' +
    '"subscription": {enabled, running, applyErrors, syncErrors, tablesReady, tables}|null,\n' +
    '"relay": {slot, state, running, endLsn, epoch, batches, holder: {name, since, until, holds}|null,\n' +
    'stop: {code, message, hint}|null, conflicts, quarantined: [{table, rows}], ranges: {copied, all}}|null,\n' +
    '"tables": [{table, verdict, primaryRows, cloudRows, differences: [{key, kind, columns}], moreDifferences, reason}],\n' +
    '"index": {model, name, present}|null, "findings": [{code, side, severity, message, fix, table?}]}.\n' +
    'With --json alone: one line {at, event, message} an event.',
  examples: [
    ['monitor --once', 'a table of verdicts; for cron: exit 3 means look at it'],
    ['monitor --once --json --max-lag-seconds 60', 'the same for a program, and fail when a minute behind'],
    ['monitor --beat-seconds 5 --verify-seconds 300', 'stay and watch'],
  ],
  configure: (command) =>
    command
      .option('--once', 'look once and exit')
      .option(
        '--max-lag-seconds <seconds>',
        'exit 3 when the cloud is further behind',
        wholeNumber({ min: 0, max: 604_800 }),
      )
      .option(
        '--max-lag-bytes <bytes>',
        'exit 3 when more log is unconfirmed',
        wholeNumber({ min: 0, max: 2 ** 50 }),
      )
      .option('--beat-seconds <seconds>', 'time between heartbeats', wholeNumber({ min: 1, max: 3600 }), 5)
      .option(
        '--verify-seconds <seconds>',
        'time between comparisons',
        wholeNumber({ min: 1, max: 604_800 }),
        300,
      ),
  async run({ options, out, signal, json }) {
    const urls = serverUrls()
    const limits: HealthLimits = {
      ...(options.maxLagSeconds === undefined ? {} : { maxLagSeconds: options.maxLagSeconds }),
      ...(options.maxLagBytes === undefined ? {} : { maxLagBytes: options.maxLagBytes }),
    }
    if (options.once !== true) {
      const { beatSeconds, verifySeconds } = options
      await stay({ ...urls, limits, beatSeconds, verifySeconds, signal }, out, json)
      return 0
    }
    const report = await withServers(urls, ({ primary, cloud }) => {
      refuseWrongServers(primary.facts, cloud.facts)
      return checkReplication({ primary: primary.pool, cloud: cloud.pool, limits, signal })
    })
    out.result(toJson(report), describe(report))
    return report.ok ? 0 : 3
  },
})

async function stay(options: Parameters<typeof runMonitor>[0], out: Output, json: boolean): Promise<void> {
  if (!json) out.note('watching; Ctrl-C stops')
  await runMonitor({
    ...options,
    onEvent: (event) => out.result(event, `${event.at} ${event.event}: ${event.message}`),
  })
}

function toJson(report: MonitorReport): unknown {
  const { slot, subscription, relay, workers, lag, index } = report.health
  return {
    ok: report.ok,
    at: report.at,
    lag,
    slot:
      slot === null
        ? null
        : {
            name: slot.name,
            active: slot.active,
            walStatus: slot.walStatus,
            safeWalBytes: slot.safeWalBytes === null ? null : Number(slot.safeWalBytes),
            retainedBytes: Number(slot.retainedBytes),
          },
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
    findings: report.findings,
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
    ...(index === null ? [] : [`index  ${index.name} ${index.present ? 'present' : 'missing'}`]),
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
