import type pg from 'pg'
import { failpoint } from '../../../core/failpoint.ts'
import { formatLsn, parseLsn } from '../../../core/lsn.ts'
import { publishedTables, type PublishedTable } from '../../../core/published-tables.ts'
import type { Batch } from '../batch.ts'
import type { Applied, ApplyOptions, NeedRows } from '../cloud-link.ts'
import { applyCarefully, type CarefulOutcome } from './careful.ts'
import { databaseFault, forbidden, notSetUp } from './errors.ts'
import { attempt, type Assumption } from './optimistic.ts'
import { commit, rollBack, type ApplyContext } from './transaction.ts'

/** How the one who applies goes about it. */
export interface ApplySettings {
  /** whose failpoints are passed (default relay) */
  side?: 'relay' | 'gateway'
  /** of one lock (default 30 s) */
  lockTimeoutMs?: number
  /** of one statement, which writes at most some hundred rows (default 60 s) */
  statementTimeoutMs?: number
  /** how long the server may be silent while it owes an answer (default 15 s more than a statement may take) */
  silenceMs?: number
  tables?: readonly PublishedTable[]
}

/**
 * Applies one batch in one transaction, together with the progress: all of it or nothing, once however often it
 * is sent. First in one flight, as if everything were in order; where it is not, again in careful steps.
 *
 * The session is out of the transaction afterwards, or broken. After an error during COMMIT only the progress
 * tells what became of it; the same batch may always be sent again.
 *
 * @throws HomeportError every stop of errors.ts; errors of the server that pass, and of the connection, as the
 * driver gives them.
 */
export async function applyBatch(
  session: pg.ClientBase,
  batch: Batch,
  options: ApplyOptions & ApplySettings,
): Promise<Applied | NeedRows> {
  const context = contextOf(session, options)
  if (context.side === 'relay') await failpoint('relay.before-apply')
  try {
    const outcome = await write(context, batch, options)
    if (outcome.kind === 'needRows') {
      await rollBack(context)
      return outcome
    }
    if (outcome.kind === 'duplicate') {
      await rollBack(context)
      const { progress } = outcome.locked
      return { kind: 'applied', isNew: false, progress, rows: 0, resolved: 0, quarantined: 0 }
    }
    return await finish(context, batch, outcome)
  } catch (error) {
    await rollBack(context)
    throw explain(error, context)
  }
}

function contextOf(session: pg.ClientBase, options: ApplyOptions & ApplySettings): ApplyContext {
  const { lockTimeoutMs = 30_000, statementTimeoutMs = 60_000 } = options
  const silenceMs = options.silenceMs ?? statementTimeoutMs + 15_000
  return {
    session,
    lease: options.lease,
    flight: { silenceMs, signal: options.signal, onBytes: options.onBytes },
    lockTimeoutMs,
    statementTimeoutMs,
    tables: options.tables ?? publishedTables,
    side: options.side ?? 'relay',
  }
}

/** How often the cloud may turn out otherwise than it just said: another relay would have to be at work. */
const maxAttempts = 3

async function write(context: ApplyContext, batch: Batch, options: ApplyOptions): Promise<CarefulOutcome> {
  // Rows were fetched because an attempt was uneven.
  if (options.fetched === undefined) {
    let assumption: Assumption = { skipThrough: parseLsn(batch.after), settled: new Map(), copied: new Map() }
    for (let attempts = 0; attempts < maxAttempts; attempts += 1) {
      const outcome = await attempt(context, batch, assumption)
      if (outcome.kind === 'ready') return { ...outcome, resolved: 0, quarantined: 0 }
      if (outcome.kind === 'duplicate') return outcome
      await rollBack(context)
      if (outcome.kind === 'uneven') break
      assumption = outcome.assumption
    }
  }
  return applyCarefully(context, batch, options)
}

async function finish(
  context: ApplyContext,
  batch: Batch,
  { reader, resolved, quarantined }: CarefulOutcome & { kind: 'ready' },
): Promise<Applied> {
  const { lastChangeLsn, rows } = reader
  const commitLsn = lastChangeLsn === null ? batch.end : formatLsn(lastChangeLsn)
  if (context.side === 'relay') await failpoint('relay.before-commit')
  else await failpoint('gateway.before-commit')
  const progress = await commit(context, { commitLsn, endLsn: batch.end })
  // The relay has passed the same point once this returns.
  if (context.side === 'gateway') await failpoint('gateway.after-commit')
  return { kind: 'applied', isNew: true, progress, rows, resolved, quarantined }
}

/** Turns what a person can do something about into an error of ours. */
function explain(error: unknown, context: ApplyContext): unknown {
  const fault = databaseFault(error)
  if (fault?.code === '42501') return forbidden(fault)
  if (fault?.code === '42P01' && /relay_progress/.test(fault.message)) return notSetUp(context.lease.slot)
  return error
}
