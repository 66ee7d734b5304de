import type pg from 'pg'
import { errorCode, errorMessage, HomeportError } from '../core/errors.ts'
import { loadSql } from '../core/sql.ts'
import { explainSubscriptionError } from './explain-subscription-error.ts'
import type { Server } from './servers.ts'
import type { Step } from './step.ts'

export interface ApplyOptions {
  primary: Server
  cloud: Server
  onStep?: (step: Step) => void
  signal?: AbortSignal
  /** how long a new slot may wait for open transactions of the primary */
  slotTimeoutMs?: number
}

/**
 * Runs a plan in order. Each statement stands alone, so that a run that was cut off is continued by
 * the next one; only a slot whose subscription failed is taken back.
 *
 * @throws HomeportError that says which step failed and why, never with a secret.
 */
export async function applySteps(steps: readonly Step[], options: ApplyOptions): Promise<void> {
  let madeSlot: string | undefined
  for (const step of steps) {
    options.signal?.throwIfAborted()
    options.onStep?.(step)
    const client = await options[step.side].pool.connect()
    try {
      await quietServerLog(client, options[step.side].facts.superuser)
      await client.query(
        `set statement_timeout = ${step.kind === 'slot' ? (options.slotTimeoutMs ?? 30_000) : 0}`,
      )
      await client.query(step.sql)
      if (step.kind === 'slot') madeSlot = step.slot
    } catch (error) {
      if (step.kind === 'subscription' && madeSlot !== undefined) {
        await options.primary.pool.query(loadSql('replication/drop-idle-slot'), [madeSlot])
      }
      throw await explainStepError(error, step, options)
    } finally {
      // The settings above must not outlive the step.
      client.release(true)
    }
  }
}

/** Passwords and verifiers are part of the text; a server that logs statements would keep them. */
async function quietServerLog(client: pg.PoolClient, superuser: boolean): Promise<void> {
  if (!superuser) return
  await client.query(
    "set log_statement = 'none'; set log_min_error_statement = 'panic'; set log_min_duration_statement = -1",
  )
}

async function explainStepError(error: unknown, step: Step, options: ApplyOptions): Promise<HomeportError> {
  if (step.kind === 'subscription') return explainSubscriptionError(error)
  const code = errorCode(error)
  if (step.kind === 'slot' && code === '57014') {
    const { rows } = await options.primary.pool.query<{ pid: number; openSeconds: number }>(
      loadSql('checks/old-transactions'),
    )
    const open = rows
      .map((row) => `process ${row.pid} (open for ${Math.round(row.openSeconds)} s)`)
      .join(', ')
    return new HomeportError('SLOT_WAITS', `a new slot waits for open transactions on the primary: ${open}`, {
      hint: 'end them, e.g. select pg_terminate_backend(PROCESS), and run this again',
      cause: error,
    })
  }
  return new HomeportError(
    'STEP_FAILED',
    `${step.side}: ${step.what}: ${errorMessage(error)}${code === undefined ? '' : ` (${code})`}`,
    {
      hint: `the statement was: ${step.shown ?? step.sql}`,
      cause: error,
    },
  )
}
