import { InvalidArgumentError } from 'commander'
import { defineCommand, wholeNumber, type Invocation } from '../../core/cli.ts'
import { databaseUrl, setting } from '../../core/config.ts'
import { HomeportError } from '../../core/errors.ts'
import { describeRows, judgeLoss, type AcceptedLoss } from '../../replication/promote/loss.ts'
import { cancelPromotion, promote } from '../../replication/promote/promote.ts'
import type { PromotionReport } from '../../replication/promote/situation.ts'
import { confirm } from './confirm.ts'
import { replicationUrlOf } from './replication-url.ts'

interface Options {
  apply?: boolean
  cancel?: boolean
  yes?: boolean
  acceptLoss?: AcceptedLoss
  timeoutSeconds: number
}

const word = 'promote'

export const promoteCommand = defineCommand<Options>({
  name: 'promote',
  summary: 'Make the cloud the primary, because home moves or is gone',
  details:
    'Prints what it would do, and changes nothing without --apply.\n' +
    'Where home (LOCAL_DATABASE_URL) answers: it is fenced, so that nobody writes content there any more; the cloud\n' +
    'catches up; every row is compared. Where it does not: what it wrote last may be lost, and nobody can count it.\n' +
    'Then the cloud (PRODUCTION_DATABASE_URL) is marked, so that no relay, gateway or setup of the old home writes there\n' +
    'again; subscription, write rights of relay and gateway, sequences, foreign keys, triggers, replica identities and\n' +
    'publication become those of a primary; and what is left to do by hand is printed.\n' +
    'Refuses with exit 3 when rows would be lost, and home takes writes again, unless --accept-loss says how many may be.\n' +
    'Rows that are not public never left home, so they are not in the new primary. Killed anywhere, run it again.\n' +
    'With --json: {"applied", "mode": native|relay|promoted, "home": alive|gone, "loss": {kind: none|rows|unknown, …}|null,\n' +
    '"steps": [{side, what, sql}], "left": [sentences]}',
  examples: [
    ['promote', 'the plan'],
    ['promote --apply', `asks for the word "${word}" first; loses nothing`],
    ['promote --apply --accept-loss 12', 'home lives and the cloud cannot catch up: 12 rows may be lost'],
    ['promote --apply --accept-loss unknown', 'home is gone for good'],
    ['promote --cancel', 'given up before the cloud was marked: home takes writes again'],
  ],
  configure: (command) =>
    command
      .option('--apply', 'do it')
      .option('--cancel', 'take the fence at home away, after a run that was killed')
      .option('--yes', 'do not ask')
      .option('--accept-loss <rows>', 'how many rows may be lost, or: unknown', readLoss)
      .option(
        '--timeout-seconds <seconds>',
        'how long writers at home may take to end, and the cloud to catch up',
        wholeNumber({ min: 1, max: 86_400 }),
        60,
      ),
  async run(invocation) {
    const { options, out } = invocation
    const urls = {
      primaryUrl: setting('LOCAL_DATABASE_URL') === undefined ? undefined : databaseUrl('LOCAL_DATABASE_URL'),
      cloudUrl: databaseUrl('PRODUCTION_DATABASE_URL'),
    }
    if (options.cancel === true) {
      if (options.apply === true) throw cannotBoth()
      await cancelPromotion(urls)
      out.result({ cancelled: true }, 'Home takes writes again; the cloud was not changed.')
      return 0
    }
    const accepted = options.acceptLoss ?? null
    const report = await promote({
      ...urls,
      replicationUrl: replicationUrlOf,
      statePath: setting('RELAY_STATE_PATH') ?? 'data/relay',
      apply: options.apply === true,
      accepted,
      timeoutMs: options.timeoutSeconds * 1000,
      signal: invocation.signal,
      onPlan: (plan) => ask(plan, invocation),
      onStep: (step) => out.note(`${step.side}: ${step.what}`),
      onNote: (text) => out.note(text),
      onProgress: ({ table, rows }) => out.progress(`comparing ${table}: ${rows} rows`),
    })
    out.result(toJson(report), describe(report))
    const refusal = report.applied || report.loss === null ? null : judgeLoss(report.loss, accepted)
    if (refusal !== null) throw refusal
    return 0
  },
})

/** For commander. */
function readLoss(text: string): AcceptedLoss {
  if (text === 'unknown') return text
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('must be a number of rows, or: unknown.')
  return Number(text)
}

function cannotBoth(): HomeportError {
  return new HomeportError('USAGE', '--cancel and --apply are opposites', {
    hint: 'ops promote --help',
    exitCode: 2,
  })
}

async function ask(plan: PromotionReport, { options, out, signal }: Invocation<Options>): Promise<void> {
  if (options.yes === true) return
  out.note(describe(plan))
  await confirm({
    word,
    what: 'The cloud becomes the primary, and home stops being it.',
    refusal: 'nothing was changed',
    hint: 'ops promote --apply --yes',
    signal,
  })
}

function toJson(report: PromotionReport): unknown {
  return { ...report, steps: report.steps.map(({ side, what, sql }) => ({ side, what, sql })) }
}

function describe(report: PromotionReport): string {
  const { applied, home, mode, steps } = report
  const title = applied
    ? 'The cloud is the primary.'
    : mode === 'promoted'
      ? 'The cloud is a primary already; what is still to be done:'
      : `The cloud follows (${mode}); home is ${home === 'alive' ? 'alive, and would be fenced, drained and compared first' : 'gone'}. Without --apply nothing is changed:`
  const list = steps.map((step) =>
    applied ? `  ${step.side}: ${step.what}` : `-- ${step.side}: ${step.what}\n${step.sql};`,
  )
  return [
    title,
    ...(list.length === 0 ? ['  nothing was left to change'] : list),
    ...describeLoss(report),
    applied ? 'Left to do by hand:' : 'What will be left to do by hand:',
    ...report.left.map((text, place) => `  ${place + 1}. ${text}`),
  ].join('\n')
}

function describeLoss({ loss, applied }: PromotionReport): string[] {
  if (loss === null) return []
  if (loss.kind === 'none') return ['Nothing is lost: every row was compared.']
  if (loss.kind === 'rows') {
    const why = loss.reason === null ? '' : `: ${loss.reason}`
    return [`Not in the new primary: ${describeRows(loss)}${why}.`]
  }
  return [
    applied ? 'What may be lost:' : 'What may be lost, and needs --accept-loss unknown:',
    ...loss.known.map((text) => `  ${text}`),
  ]
}
