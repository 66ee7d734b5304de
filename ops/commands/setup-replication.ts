import { Option } from 'commander'
import { defineCommand, wholeNumber, type Invocation } from '../../core/cli.ts'
import { setupRelay, type RelaySetupReport } from '../../replication/relay/setup/setup-relay.ts'
import type { ReplicationMode } from '../../replication/settings-verdicts.ts'
import { describeSteps } from '../../replication/step.ts'
import { setupReplication, type SetupReport } from '../../replication/setup.ts'
import { copyToJson, describeCopy, quietLog } from './copy-progress.ts'
import { roleUrls, seedWay, seedWays, serverUrls, writeRoleUrls } from './server-urls.ts'

interface Options {
  mode: ReplicationMode
  via: (typeof seedWays)[number]
  dryRun?: boolean
  timeoutSeconds?: number
  jobs?: number
}

export const setupReplicationCommand = defineCommand<Options>({
  name: 'setup-replication',
  summary: 'Make the cloud follow the primary: roles, publication, slot, initial copy, vector index',
  details:
    'Reads LOCAL_DATABASE_URL, PRODUCTION_DATABASE_URL, DATABASE_URL and REPLICATION_DATABASE_URL. The last two name\n' +
    'the roles that are created, with their passwords. Checks everything first and names each wrong setting with\n' +
    'its fix. Running it again changes nothing, or applies what has changed since.\n' +
    '--mode native (the default): the cloud subscribes and pulls, so it must reach the primary. Ctrl-C is safe: the copy goes on.\n' +
    '--mode relay: ops relay pushes from here, so the cloud need not reach the primary, and no superuser is needed there.\n' +
    'Also creates the role of RELAY_DATABASE_URL and, where it is set, that of GATEWAY_DATABASE_URL, and copies what is\n' +
    'there, in ranges by parallel workers: cut off anywhere, the next run goes on where it stopped. --via gateway copies\n' +
    'through PRODUCTION_API_URL with PRODUCTION_API_KEY (PRODUCTION_DATABASE_URL is needed this once).\n' +
    'With --json: {"mode", "dryRun", "changed", "slot", "steps": [{side, what, sql}], "warnings": [{code, side, message, fix}],\n' +
    '"copy": {tables, rows, seconds; relay: also ranges, bytes}|null, "index": {model, created, dropped, seconds}|null}',
  examples: [
    ['setup-replication', 'set up, wait for the initial copy, build the vector index'],
    ['setup-replication --dry-run', 'check everything and print the SQL, passwords masked'],
    ['setup-replication --mode relay --jobs 4', 'the same for ops relay, with four parallel workers'],
  ],
  configure: (command) =>
    command
      .addOption(
        new Option('--mode <mode>', 'how changes reach the cloud')
          .choices(['native', 'relay'])
          .default('native'),
      )
      .addOption(
        new Option('--via <way>', 'relay: how the initial copy reaches the cloud')
          .choices(seedWays)
          .default('direct'),
      )
      .option('--dry-run', 'print the SQL, change nothing')
      .option(
        '--timeout-seconds <seconds>',
        'native: give up waiting for the initial copy',
        wholeNumber({ min: 1, max: 604_800 }),
      )
      .option(
        '--jobs <number>',
        'relay: parallel workers of the initial copy',
        wholeNumber({ min: 1, max: 16 }),
      ),
  async run(invocation) {
    const { options, out } = invocation
    const dryRun = options.dryRun === true
    if (options.mode === 'relay') {
      const report = await setUpRelay(invocation)
      out.result(toJson(report, options, copyToJson(report.copy)), describeRelay(report, dryRun))
      return 0
    }
    const report = await setUpNative(invocation)
    const { copy } = report
    const shown = copy === null ? null : { tables: copy.tables, rows: copy.rows, seconds: copy.seconds }
    out.result(toJson(report, options, shown), describeNative(report, dryRun))
    return 0
  },
})

function setUpNative({ options, out, signal }: Invocation<Options>): Promise<SetupReport> {
  const stalls = new Set<string>()
  return setupReplication({
    ...serverUrls(),
    ...roleUrls(),
    ...notes(out),
    dryRun: options.dryRun === true,
    signal,
    ...(options.timeoutSeconds === undefined ? {} : { copyTimeoutMs: options.timeoutSeconds * 1000 }),
    onCopy: (copy) => {
      out.progress(
        `initial copy: ${copy.tablesReady} of ${copy.tables} tables ready, ${copy.rows} rows (${copy.rowsPerSecond}/s)`,
      )
      if (copy.stall === null || stalls.has(copy.stall)) return
      stalls.add(copy.stall)
      out.note(`The initial copy does not move: ${copy.stall}`)
    },
  })
}

function setUpRelay({ options, out, signal }: Invocation<Options>): Promise<RelaySetupReport> {
  return setupRelay({
    ...serverUrls(),
    ...roleUrls(),
    ...writeRoleUrls(),
    ...notes(out),
    way: seedWay(options.via),
    log: quietLog('setup'),
    dryRun: options.dryRun === true,
    signal,
    ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
    onCopy: (copy) => out.progress(describeCopy(copy)),
  })
}

function notes(out: Invocation<Options>['out']) {
  return {
    onWarning: (finding: SetupReport['warnings'][number]): void =>
      out.note(`Warning: ${finding.side}: ${finding.message}\n  ${finding.fix}`),
    onStep: (step: SetupReport['steps'][number]): void => out.note(`${step.side}: ${step.what}`),
    onNote: (text: string): void => out.note(text),
  }
}

function toJson(report: SetupReport | RelaySetupReport, options: Options, copy: unknown): unknown {
  const { changed, slot, warnings, index } = report
  return {
    mode: options.mode,
    dryRun: options.dryRun === true,
    changed,
    slot,
    steps: report.steps.map((step) => ({ side: step.side, what: step.what, sql: step.shown ?? step.sql })),
    warnings,
    copy,
    index,
  }
}

function describeNative(report: SetupReport, dryRun: boolean): string {
  if (dryRun) return report.changed ? describeSteps(report.steps) : 'Nothing to change.'
  const tables = report.copy?.tables ?? 0
  if (!report.changed) return `Nothing to change: the cloud follows the primary (${tables} tables).`
  return `The cloud follows the primary: ${tables} tables, slot ${report.slot}.${describeIndex(report)}`
}

function describeRelay(report: RelaySetupReport, dryRun: boolean): string {
  if (dryRun) return report.changed ? describeSteps(report.steps) : 'Nothing to change.'
  if (!report.changed) return `Nothing to change: ops relay can push through the slot ${report.slot}.`
  const { copy } = report
  const copied =
    copy === null
      ? ''
      : ` ${copy.rows} rows of ${copy.tables} tables are there (${copy.seconds.toFixed(1)} s).`
  return `Ready for ops relay: slot ${report.slot}.${copied}${describeIndex(report)}`
}

function describeIndex({ index }: SetupReport | RelaySetupReport): string {
  return index?.created === true ? ` The vector index was built in ${index.seconds.toFixed(1)} s.` : ''
}
