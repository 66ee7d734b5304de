import { errorMessage, HomeportError } from '../../core/errors.ts'
import { failpoint } from '../../core/failpoint.ts'
import { migrate } from '../../core/migrate.ts'
import { beat } from '../heartbeat.ts'
import { readRelayStates } from '../relay/relay-state.ts'
import type { Server } from '../servers.ts'
import { dropSlot } from '../slot.ts'
import { fenceWords, migrateWords, planHome, slotOf } from './describe-plan.ts'
import { countMissing, drain } from './drain.ts'
import { liftFence, placeFence } from './fence.ts'
import { leftToDo } from './left-to-do.ts'
import { describeRows, refuseLoss, type Loss } from './loss.ts'
import { planPromotion, type PromotionStep } from './plan.ts'
import {
  foreseeLoss,
  readSituation,
  type PromoteOptions,
  type PromotionReport,
  type Situation,
} from './situation.ts'

/**
 * Carries a promotion out that nothing is in the way of.
 * @throws HomeportError as promote does; FENCE_STAYS where home could not be let go.
 */
export async function carryOut(options: PromoteOptions, before: Situation): Promise<PromotionReport> {
  const { home, mode, cloud } = before
  try {
    return await proceed(options, before)
  } catch (error) {
    if (home.kind === 'gone' || mode === 'promoted') throw error
    throw await letGo(home.server, cloud, error)
  }
}

async function proceed(options: PromoteOptions, before: Situation): Promise<PromotionReport> {
  const { cloud, home, mode } = before
  if (before.cloudFacts.missingMigrations.length > 0) {
    options.onStep?.({ side: 'cloud', what: migrateWords })
    await migrate(options.cloudUrl)
  }
  const loss = home.kind === 'alive' ? await stopHome(options, before, home.server) : null
  if (loss?.kind === 'rows') options.onNote?.(`not in the new primary: ${describeRows(loss)}`)
  // Read anew: what came in since the plan was made counts.
  const { cloudFacts, homeFacts } = await readSituation(cloud, home)
  const steps = planPromotion(cloudFacts, homeFacts)
  for (const step of steps) {
    options.signal?.throwIfAborted()
    options.onStep?.(step)
    await runStep(cloud, step)
    await failpoint('promote.after-step')
  }
  const slotIsGone = home.kind === 'alive' && (await dropHomeSlot(home.server, slotOf(cloudFacts), options))
  return {
    applied: true,
    mode,
    home: home.kind,
    loss: home.kind === 'gone' ? await foreseeLoss(options, before) : loss,
    steps: [...(before.homeFacts?.isFenced === false ? planHome(before.homeFacts) : []), ...steps],
    left: leftToDo(before.cloudFacts, homeFacts, slotIsGone),
  }
}

/** Fences home, and measures what would be lost. */
async function stopHome(
  options: PromoteOptions,
  { mode, cloud, homeFacts }: Situation,
  primary: Server,
): Promise<Loss | null> {
  if (mode === 'promoted') {
    await fence(options, primary)
    return homeFacts?.isFenced === false ? countMissing({ ...options, primary, cloud }) : null
  }
  const replicationUrl = await options.replicationUrl(primary)
  await fence(options, primary)
  const loss = await drain({ ...options, primary, cloud, replicationUrl })
  refuseLoss(loss, options.accepted)
  options.signal?.throwIfAborted()
  return loss
}

async function fence(options: PromoteOptions, primary: Server): Promise<void> {
  options.onStep?.({ side: 'primary', what: fenceWords })
  await placeFence(primary.pool, options)
  await failpoint('promote.after-fence')
}

/** Lets home take writes again unless the cloud is marked; the error to end with. */
async function letGo(primary: Server, cloud: Server, error: unknown): Promise<unknown> {
  try {
    const states = await readRelayStates(cloud.pool)
    if (states.some((state) => state.state === 'promoted')) return error
    await liftFence(primary.pool)
    return error
  } catch (kept) {
    return new HomeportError(
      'FENCE_STAYS',
      `${errorMessage(error)}; and home stays fenced: ${errorMessage(kept)}`,
      {
        hint: 'run ops promote --apply again; or ops promote --cancel, so that home takes writes again',
        cause: error,
      },
    )
  }
}

async function runStep(cloud: Server, { what, sql, values }: PromotionStep): Promise<void> {
  try {
    await cloud.pool.query(sql, values === undefined ? [] : [...values])
  } catch (error) {
    throw new HomeportError('STEP_FAILED', `${what}: ${errorMessage(error)}`, {
      hint: 'correct the cause, and run ops promote --apply again: it goes on here',
      cause: error,
    })
  }
}

/** Once nobody reads it: a relay finds at its next batch that it has no business here any more, and ends. */
async function dropHomeSlot(primary: Server, slot: string, options: PromoteOptions): Promise<boolean> {
  options.onStep?.({ side: 'primary', what: `drop the slot ${slot}` })
  await beat(primary.pool)
  return dropSlot(primary.pool, slot, { endsReader: false })
}
