import { defineCommand, wholeNumber } from '../../core/cli.ts'
import type { ExitCode } from '../../core/errors.ts'
import { repair, type RepairReport } from '../../replication/repair/repair.ts'
import type { RepairStep } from '../../replication/repair/plan.ts'
import { chooseTables } from '../../replication/relay/setup/reseed.ts'
import { withPrimaryLock } from '../../replication/relay/setup/primary-lock.ts'
import { refuseWrongServers } from '../../replication/server-verdicts.ts'
import { withServers } from '../../replication/servers.ts'
import { describe as describeTable, describeDifference } from './verify.ts'
import { addCompareOptions, type CompareOptions } from './compare-options.ts'
import { replicationUrlOf } from './replication-url.ts'
import { serverUrls } from './server-urls.ts'

interface Options extends CompareOptions {
  apply?: boolean
  delete?: boolean
  maxDeletes: number
  maxRows: number
  maxSharePercent: number
}

export const repairCommand = defineCommand<Options>({
  name: 'repair',
  summary: "Make the cloud's rows what the primary's are, where a comparison proves that they are not",
  details:
    'Without --apply: compares as ops verify does, prints what it would do, and changes nothing. With it: a few rows at a time are\n' +
    'held still on the primary (writers of these rows wait, for some round trips; to remove rows, writers of the table), the\n' +
    'cloud catches up, and the rows are written there: in relay mode by the relay, at their place in the log. The primary wins;\n' +
    'nothing newer is ever overwritten. What was there before is kept in the table repair_journal of the cloud. The tables are compared\n' +
    'again at the end. Stopped anywhere, it may be run again.\n' +
    'Exit 0: nothing is wrong (any more); 3: something is, see the output; 1: it failed.\n' +
    'With --json: {"run"|null, "mode", "applied", "steps": [{table, action: put|remove, differences: [{key, kind, columns}]}],\n' +
    '"refusals": [{table, code, rows, message, fix}], "rows": [{table, key, action: insert|update|delete|refused|passed, reason|null}],\n' +
    '"after": [{table, verdict, ...}]|null (as in ops verify)}',
  examples: [
    ['repair', 'what is wrong, and what would be done about it'],
    ['repair --apply', 'put right all rows that are missing or changed'],
    [
      'repair segments --apply --delete --max-deletes 20',
      'and remove up to 20 rows that the primary does not have',
    ],
  ],
  configure: (command) =>
    addCompareOptions(command)
      .argument('[table...]', 'names of published tables; all when absent')
      .option('--apply', 'write; without it nothing is changed')
      .option('--delete', 'also remove rows that only the cloud has')
      .option(
        '--max-deletes <number>',
        'at most so many in one call',
        wholeNumber({ min: 1, max: 1_000_000 }),
        100,
      )
      .option(
        '--max-rows <number>',
        'differing rows of a table that are looked at; past it: ops reseed',
        wholeNumber({ min: 1, max: 1_000_000 }),
        10_000,
      )
      .option(
        '--max-share-percent <percent>',
        "past this share of a table's rows (and 100 of them): ops reseed",
        wholeNumber({ min: 1, max: 100 }),
        20,
      ),
  async run({ args, options, out, signal }) {
    const urls = serverUrls()
    const tables = chooseTables(args)
    const isDryRun = options.apply !== true
    const work = (): Promise<RepairReport> =>
      withServers(urls, async ({ primary, cloud }) => {
        refuseWrongServers(primary.facts, cloud.facts)
        return repair({
          primary: primary.pool,
          cloud: cloud.pool,
          replicationUrl: await replicationUrlOf(primary),
          tables,
          isDryRun,
          limits: {
            mayDelete: options.delete === true,
            maxDeletes: options.maxDeletes,
            maxShare: options.maxSharePercent / 100,
          },
          maxRows: options.maxRows,
          pace: options.pace,
          fenceTimeoutMs: options.timeoutSeconds * 1000,
          signal,
          onProgress: ({ table, rows }) => out.progress(`${table}: ${rows} rows compared`),
          onStep: ({ rows, of }) => out.progress(`${rows} of ${of} rows repaired`),
        })
      })
    const report = isDryRun ? await work() : await withPrimaryLock(urls.primaryUrl, work)
    out.result(toJson(report, !isDryRun), describe(report, isDryRun))
    return exitCodeOf(report)
  },
})

function toJson(report: RepairReport, applied: boolean): unknown {
  const { run, mode, plan, rows, after } = report
  return { run, mode, applied, steps: plan.steps, refusals: plan.refusals, rows, after }
}

/** Pure: 3 while something is known to be wrong, or is not known. */
export function exitCodeOf({ plan, after }: Pick<RepairReport, 'plan' | 'after'>): ExitCode {
  if (plan.refusals.length > 0) return 3
  if (after === null) return plan.steps.length === 0 ? 0 : 3
  return after.every(({ verdict }) => verdict === 'match') ? 0 : 3
}

function describe(report: RepairReport, isDryRun: boolean): string {
  const { plan, rows, after, run } = report
  const refusals = plan.refusals.map(({ message, fix }) => `! ${message}\n    ${fix}`)
  if (plan.steps.length === 0 && refusals.length === 0) return 'Nothing to repair: every row is the same.'
  if (isDryRun) {
    const commands = plan.steps.length === 0 ? [] : ['', 'Nothing was changed. To do it: ops repair --apply']
    return [...plan.steps.map(describeStep), ...refusals, ...commands].join('\n')
  }
  const count = (action: string): number => rows.filter((row) => row.action === action).length
  const parts = [
    `${count('insert')} inserted`,
    `${count('update')} updated`,
    `${count('delete')} removed`,
    ...(count('refused') === 0 ? [] : [`${count('refused')} refused by the cloud`]),
    ...(count('passed') === 0 ? [] : [`${count('passed')} written by the primary itself meanwhile`]),
  ]
  const refused = rows
    .filter(({ action }) => action === 'refused')
    .map(({ table, key, reason }) => `  ${table} ${key.join(', ')}: refused (${reason ?? 'no reason'})`)
  return [
    ...(run === null ? [] : [`${parts.join(', ')}; their former state: repair_journal, run ${run}`]),
    ...refused,
    ...refusals,
    ...(after ?? []).map(describeTable),
  ].join('\n')
}

const whatToDo = {
  missing: "the cloud lacks it: insert the primary's row",
  changed: "the cloud has it otherwise: write the primary's row",
  extra: 'the primary does not have it: remove it',
} as const

function describeStep({ table, differences }: RepairStep): string {
  return [
    `${table}: ${differences.length} ${differences.length === 1 ? 'row' : 'rows'}`,
    ...differences.map((one) => `${describeDifference(one)}: ${whatToDo[one.kind]}`),
  ].join('\n')
}
