import { defineCommand, wholeNumber } from '../../core/cli.ts'
import { describeSteps } from '../../replication/step.ts'
import { setupReplication, type SetupReport } from '../../replication/setup.ts'
import { roleUrls, serverUrls } from './server-urls.ts'

interface Options {
  dryRun?: boolean
  timeoutSeconds?: number
}

export const setupReplicationCommand = defineCommand<Options>({
  name: 'setup-replication',
  summary: 'Make the cloud follow the primary: roles, publication, subscription, initial copy, vector index',
  details:
    'Reads LOCAL_DATABASE_URL, PRODUCTION_DATABASE_URL, DATABASE_URL and REPLICATION_DATABASE_URL. The last two name\n' +
    'the roles that are created, with their passwords. Checks everything first and names each wrong setting with\n' +
    'its fix. Running it again changes nothing, or applies what has changed since. Ctrl-C is safe: the copy goes on.\n' +
    'With --json: {"dryRun", "changed", "slot", "steps": [{side, what, sql}], "warnings": [{code, side, message, fix}],\n' +
    '"copy": {tables, rows, seconds}|null, "index": {model, created, dropped, seconds}|null}',
  examples: [
    ['setup-replication', 'set up, wait for the initial copy, build the vector index'],
    ['setup-replication --dry-run', 'check everything and print the SQL, passwords masked'],
  ],
  configure: (command) =>
    command
      .option('--dry-run', 'print the SQL, change nothing')
      .option(
        '--timeout-seconds <seconds>',
        'give up waiting for the initial copy',
        wholeNumber({ min: 1, max: 604_800 }),
      ),
  async run({ options, out, signal }) {
    const dryRun = options.dryRun === true
    const stalls = new Set<string>()
    const report = await setupReplication({
      ...serverUrls(),
      ...roleUrls(),
      dryRun,
      signal,
      ...(options.timeoutSeconds === undefined ? {} : { copyTimeoutMs: options.timeoutSeconds * 1000 }),
      onWarning: (finding) => out.note(`Warning: ${finding.side}: ${finding.message}\n  ${finding.fix}`),
      onStep: (step) => out.note(`${step.side}: ${step.what}`),
      onNote: (text) => out.note(text),
      onCopy: (copy) => {
        out.progress(
          `initial copy: ${copy.tablesReady} of ${copy.tables} tables ready, ${copy.rows} rows (${copy.rowsPerSecond}/s)`,
        )
        if (copy.stall === null || stalls.has(copy.stall)) return
        stalls.add(copy.stall)
        out.note(`The initial copy does not move: ${copy.stall}`)
      },
    })
    out.result(toJson(report, dryRun), describe(report, dryRun))
    return 0
  },
})

function toJson(report: SetupReport, dryRun: boolean): unknown {
  const { changed, slot, warnings, copy, index } = report
  return {
    dryRun,
    changed,
    slot,
    steps: report.steps.map((step) => ({ side: step.side, what: step.what, sql: step.shown ?? step.sql })),
    warnings,
    copy: copy === null ? null : { tables: copy.tables, rows: copy.rows, seconds: copy.seconds },
    index,
  }
}

function describe(report: SetupReport, dryRun: boolean): string {
  if (dryRun) return report.changed ? describeSteps(report.steps) : 'Nothing to change.'
  const tables = report.copy?.tables ?? 0
  if (!report.changed) return `Nothing to change: the cloud follows the primary (${tables} tables).`
  const index =
    report.index?.created === true
      ? ` The vector index was built in ${report.index.seconds.toFixed(1)} s.`
      : ''
  return `The cloud follows the primary: ${tables} tables, slot ${report.slot}.${index}`
}
