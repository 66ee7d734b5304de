import { formatDuration } from '../../core/amounts.ts'
import { HomeportError } from '../../core/errors.ts'
import type { ExactVerification } from '../verify/findings.ts'
import type { CloudFacts } from './facts.ts'
import type { SpoolFacts } from './spool.ts'

/** What the operator agreed to lose: at most so many rows, or what nobody can count. */
export type AcceptedLoss = number | 'unknown'

/** What is only at home and would be lost. */
export type Loss =
  /** every row of the cloud is proven to be home's, and none is missing */
  | { kind: 'none' }
  /** counted: these rows are not the same; `reason` is why the cloud did not catch up, null when it had */
  | { kind: 'rows'; rows: number; tables: readonly { table: string; rows: number }[]; reason: string | null }
  /** home is gone, so nobody can count; in sentences, what is known */
  | { kind: 'unknown'; known: readonly string[] }

/** Pure: what differs in an exact comparison, as rows a table. */
export function lossOf(
  results: readonly Pick<ExactVerification, 'table' | 'differences' | 'moreDifferences'>[],
  reason: string | null,
): Loss {
  const tables = results
    .map((one) => ({ table: one.table, rows: one.differences.length + one.moreDifferences }))
    .filter((one) => one.rows > 0)
  const rows = tables.reduce((sum, one) => sum + one.rows, 0)
  return rows === 0 ? { kind: 'none' } : { kind: 'rows', rows, tables, reason }
}

/** Pure: what can be said of the loss when home cannot be asked. */
export function unknownLoss(reason: string, cloud: CloudFacts, spool: SpoolFacts | null): Loss {
  const { heartbeat, relay } = cloud
  const quarantined = relay?.quarantined.reduce((sum, one) => sum + one.rows, 0) ?? 0
  return {
    kind: 'unknown',
    known: [
      `home does not answer: ${reason}`,
      heartbeat === null
        ? 'the cloud never had a heartbeat of home'
        : `the cloud's last heartbeat of home is ${formatDuration(heartbeat.ageSeconds * 1000)} old (${heartbeat.beatAt.toISOString()}): what home committed after that may be missing`,
      ...(relay === null ? [] : [`the relay brought everything up to ${relay.endLsn} of home's log`]),
      ...(relay?.state === 'seeding' || cloud.subscription?.tables.some((one) => one.state !== 'r') === true
        ? ['the initial copy is not complete: most of the rest is missing']
        : []),
      ...(spool === null || spool.batches === 0
        ? []
        : [
            `${spool.batches} batches wait in the relay's spool ${spool.folder} and were never applied, ` +
              (spool.oldestCommitAt === null ? 'of unknown age' : `the oldest of ${spool.oldestCommitAt}`),
          ]),
      ...(quarantined === 0
        ? []
        : [`${quarantined} rows were refused by the cloud and lie in relay_quarantine`]),
    ],
  }
}

/** Pure: the error that stops a promotion which would lose more than was agreed to; null when it may go on. */
export function judgeLoss(loss: Loss, accepted: AcceptedLoss | null): HomeportError | null {
  if (loss.kind === 'none') return null
  if (loss.kind === 'unknown') {
    if (accepted === 'unknown') return null
    const why = accepted === null ? '' : ` (--accept-loss ${accepted} cannot be kept to)`
    return new HomeportError(
      'LOSS_UNKNOWN',
      `nobody can count what would be lost${why}: ${loss.known.join('; ')}`,
      {
        hint: 'start home once more and run this again, which loses nothing; if it is gone for good: ops promote --apply --accept-loss unknown',
        exitCode: 3,
      },
    )
  }
  if (accepted !== null && accepted !== 'unknown' && loss.rows <= accepted) return null
  const [code, what, cure] =
    loss.reason === null
      ? ['DRIFT', 'the cloud has caught up and is not what home has', 'ops verify names them; put them right']
      : ['LOSS', `the cloud did not get everything (${loss.reason})`, 'ops status says why; put it right']
  return new HomeportError(
    code,
    `${what}: ${describeRows(loss)} would be lost; home takes writes again, and nothing was changed`,
    {
      hint: `${cure}, and run this again; or: ops promote --apply --accept-loss ${loss.rows}`,
      exitCode: 3,
    },
  )
}

/** `4 rows (segments 3, lexicon 1)` */
export function describeRows({ rows, tables }: Extract<Loss, { kind: 'rows' }>): string {
  const list = tables.map((one) => `${one.table} ${one.rows}`).join(', ')
  return `${rows} ${rows === 1 ? 'row' : 'rows'} (${list})`
}

/** @throws HomeportError LOSS, DRIFT or LOSS_UNKNOWN, exit 3. */
export function refuseLoss(loss: Loss, accepted: AcceptedLoss | null): void {
  const refusal = judgeLoss(loss, accepted)
  if (refusal !== null) throw refusal
}
