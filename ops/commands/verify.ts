import { Option } from 'commander'
import { formatBytes, formatDuration } from '../../core/amounts.ts'
import { defineCommand, wholeNumber } from '../../core/cli.ts'
import { setting } from '../../core/config.ts'
import { HomeportError, type ExitCode } from '../../core/errors.ts'
import { chooseTables } from '../../replication/relay/setup/reseed.ts'
import { refuseWrongServers } from '../../replication/server-verdicts.ts'
import { withServers } from '../../replication/servers.ts'
import { Checkpoint, type Reused } from '../../replication/verify/checkpoint.ts'
import type { ExactVerification } from '../../replication/verify/findings.ts'
import type { Difference } from '../../replication/verify/prove.ts'
import { tablesOfTier, tiers, type Tier } from '../../replication/verify/tier.ts'
import type { VerifyProgress } from '../../replication/verify/progress.ts'
import { verifyExact, type ResumableOptions } from '../../replication/verify/verify-exact.ts'
import { addCompareOptions, type CompareOptions } from './compare-options.ts'
import { replicationUrlOf } from './replication-url.ts'
import { serverUrls } from './server-urls.ts'

interface Options extends CompareOptions {
  tier: Tier
  show: number
  anew?: boolean
}

export const verifyCommand = defineCommand<Options>({
  name: 'verify',
  summary: 'Compare primary and cloud exactly, row by row, while writes go on',
  details:
    "Every published row on both sides is hashed there, as it was at one position of the primary's log; what differs is\n" +
    'narrowed down to keys and columns. A temporary slot tells which rows were written meanwhile: a difference in any\n' +
    'other row is proven drift, those are looked at again, and what never holds still is "undetermined", never "match".\n' +
    'Changes nothing but the heartbeat and the verdicts (table verifications, which the api shows).\n' +
    'Needs a role that may replicate: that of LOCAL_DATABASE_URL, else REPLICATION_DATABASE_URL, and a free replication slot.\n' +
    'Exit 0: all match; 3: drift; 1: something is undetermined, or it failed or was stopped.\n\n' +
    'Stopped, killed or cut off, it says nothing about any table. The same command within 24 hours goes on from there: it compares\n' +
    'at a new position, and of rows that were the same on both sides it only asks both servers whether anybody wrote them since.\n' +
    'For that it keeps ranges of keys, never what else is in a row, in VERIFY_STATE_PATH, until a run comes to its end.\n\n' +
    'With --json: {"verdict", "tier", "seconds", "rows", "tables": [{table, verdict, primaryRows, cloudRows,\n' +
    '"differences": [{key, kind: missing|extra|changed, columns}], moreDifferences, reason|null, lsn,\n' +
    'rowsFromEarlier, earlierSince: time|null}]}',
  examples: [
    ['verify', 'everything'],
    ['verify segments sources --tier rows', 'two tables, without their vectors'],
    ['verify --tier vectors --pace full', 'the vectors, as fast as the servers can'],
  ],
  configure: (command) =>
    addCompareOptions(command)
      .argument('[table...]', 'names of published tables; all when absent')
      .addOption(new Option('--tier <tier>', 'what of a row is compared').choices(tiers).default('both'))
      .option('--show <number>', 'differences named per table', wholeNumber({ min: 1, max: 10_000 }), 20)
      .option('--anew', 'compare every row, whatever an earlier run that did not end has compared'),
  async run({ args, options, out, signal }) {
    const urls = serverUrls()
    const tables = chooseTables(args)
    if (tablesOfTier(tables, options.tier).length === 0) {
      throw new HomeportError('NOTHING_TO_COMPARE', `without vectors: ${args.join(', ')}`, {
        hint: 'leave out --tier, or name a table that has vectors: embeddings',
        exitCode: 2,
      })
    }
    const startedAt = performance.now()
    const results = await withServers(urls, async ({ primary, cloud }) => {
      refuseWrongServers(primary.facts, cloud.facts)
      const checkpoint = Checkpoint.open({
        folder: setting('VERIFY_STATE_PATH') ?? 'data/verify',
        servers: { primary: primary.facts, cloud: cloud.facts },
        tier: options.tier,
        anew: options.anew === true,
        note: (text) => out.note(text),
      })
      return verifyWith(checkpoint, (text) => out.note(text), {
        primary: primary.pool,
        cloud: cloud.pool,
        replicationUrl: await replicationUrlOf(primary),
        tables,
        tier: options.tier,
        pace: options.pace,
        maxDifferences: options.show,
        fenceTimeoutMs: options.timeoutSeconds * 1000,
        signal,
        onProgress: (progress) => out.progress(describeProgress(progress)),
        onPause: (bytes) => out.note(`waiting: the cloud is ${formatBytes(bytes)} behind`),
      })
    })
    const seconds = (performance.now() - startedAt) / 1000
    const verdict = judgeAll(results)
    const rows = results.reduce((sum, one) => sum + Math.max(one.primaryRows, one.cloudRows), 0)
    out.result(
      { verdict, tier: options.tier, seconds, rows, tables: results },
      results.map(describe).join('\n'),
    )
    return exitCodeOf(verdict)
  },
})

async function verifyWith(
  checkpoint: Checkpoint | null,
  note: (text: string) => void,
  options: ResumableOptions,
): ReturnType<typeof verifyExact> {
  try {
    return await verifyExact({ ...options, checkpoint })
  } catch (error) {
    if (checkpoint?.hasKept === true) {
      note('what was compared so far is kept for 24 hours: the same command goes on from there')
    }
    throw error
  } finally {
    checkpoint?.close()
  }
}

/** Pure: one word for all tables; drift in one is drift. */
export function judgeAll(
  results: readonly Pick<ExactVerification, 'verdict'>[],
): ExactVerification['verdict'] {
  if (results.some((one) => one.verdict === 'drift')) return 'drift'
  return results.every((one) => one.verdict === 'match') ? 'match' : 'undetermined'
}

function exitCodeOf(verdict: ExactVerification['verdict']): ExitCode {
  return verdict === 'match' ? 0 : verdict === 'drift' ? 3 : 1
}

function describeProgress(progress: VerifyProgress): string {
  const { table, rows, rowsExpected, rowsPerSecond, secondsLeft } = progress
  const share = rowsExpected === 0 ? '' : `${Math.min(99, Math.floor((100 * rows) / rowsExpected))} %, `
  const left = secondsLeft === null ? '' : `, ${formatDuration(secondsLeft * 1000)} left`
  return `comparing ${table}: ${share}${rows} rows, ${rowsPerSecond}/s${left}`
}

/** One line a table, and one for each difference. */
export function describe(one: ExactVerification & Partial<Reused>): string {
  const rows =
    one.primaryRows === one.cloudRows ? `${one.primaryRows}` : `${one.primaryRows}/${one.cloudRows}`
  const count = one.differences.length + one.moreDifferences
  const facts = [
    `${rows} rows`,
    ...(count === 0 ? [] : [count === 1 ? '1 difference' : `${count} differences`]),
    ...(one.reason === null ? [] : [one.reason]),
    ...describeReused(one),
  ]
  const more = one.moreDifferences === 0 ? [] : [`  and ${one.moreDifferences} more`]
  return [
    `${one.table.padEnd(14)} ${one.verdict.padEnd(12)} ${facts.join(', ')}`,
    ...one.differences.map(describeDifference),
    ...more,
  ].join('\n')
}

function describeReused({ rowsFromEarlier = 0, earlierSince = null }: Partial<Reused>): string[] {
  if (earlierSince === null) return []
  const time = new Date(earlierSince).toTimeString().slice(0, 5)
  return [`${rowsFromEarlier} of them were compared from ${time} on and are unchanged on both sides since`]
}

export function describeDifference({ key, kind, columns }: Difference): string {
  return `  ${key.join(', ')}: ${kind}${columns.length === 0 ? '' : ` (${columns.join(', ')})`}`
}
