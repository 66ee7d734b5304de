import { errorCode, errorMessage, HomeportError } from '../core/errors.ts'
import { loadSql } from '../core/sql.ts'
import { explainSubscriptionError } from './explain-subscription-error.ts'
import { runStatement } from './run-statement.ts'
import type { Server } from './servers.ts'
import type { Step } from './step.ts'
import { explainWaitingSlot } from './waiting-slot.ts'

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
    try {
      await runStatement(
        options[step.side],
        step,
        step.kind === 'slot' ? (options.slotTimeoutMs ?? 30_000) : 0,
      )
      if (step.kind === 'slot') madeSlot = step.slot
    } catch (error) {
      if (step.kind === 'subscription' && madeSlot !== undefined) {
        await options.primary.pool.query(loadSql('replication/drop-idle-slot'), [madeSlot])
      }
      throw await explainStepError(error, step, options)
    }
  }
}

async function explainStepError(error: unknown, step: Step, options: ApplyOptions): Promise<HomeportError> {
  if (step.kind === 'subscription') return explainSubscriptionError(error)
  const code = errorCode(error)
  if (step.kind === 'slot' && code === '57014') {
    return explainWaitingSlot(options.primary.pool, error)
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
