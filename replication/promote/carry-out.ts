import { sleep } from '../../core/backoff.ts'
import { createPool, type Queryable } from '../../core/db.ts'
import { errorCode, errorMessage, HomeportError } from '../../core/errors.ts'
import { failpoint } from '../../core/failpoint.ts'
import { migrate } from '../../core/migrate.ts'
import { beat } from '../heartbeat.ts'
import { readRelayStates } from '../relay/relay-state.ts'
import type { Server } from '../servers.ts'
import { isConcurrentUpdate } from '../run-statement.ts'
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
 * @throws HomeportError as promote does; FENCE_GONE; FENCE_STAYS where home could not be let go.
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
  if (homeFacts?.isFenced === false) throw fenceGone()
  const steps = planPromotion(cloudFacts, homeFacts)
  for (const together of groupSteps(steps)) {
    options.signal?.throwIfAborted()
    for (const step of together) options.onStep?.(step)
    await runSteps(cloud, together)
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
  { mode, cloud, cloudFacts, homeFacts }: Situation,
  primary: Server,
): Promise<Loss | null> {
  const slot = cloudFacts.slot
  if (mode === 'promoted') {
    await fence(options, primary, slot)
    return homeFacts?.isFenced === false ? countMissing({ ...options, primary, cloud }) : null
  }
  const replicationUrl = await options.replicationUrl(primary)
  await fence(options, primary, slot)
  const loss = await drain({ ...options, primary, cloud, replicationUrl })
  refuseLoss(loss, options.accepted)
  options.signal?.throwIfAborted()
  return loss
}

async function fence(options: PromoteOptions, primary: Server, slot: string): Promise<void> {
  options.onStep?.({ side: 'primary', what: fenceWords })
  await placeFence(primary.pool, { ...options, slot })
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

function fenceGone(): HomeportError {
  return new HomeportError('FENCE_GONE', 'somebody has taken the fence at home away meanwhile', {
    hint: 'find out who writes there again, and run ops promote --apply once more: it fences and compares anew',
  })
}

/** Each with those that belong into its transaction. */
function groupSteps(steps: readonly PromotionStep[]): PromotionStep[][] {
  const groups: PromotionStep[][] = []
  for (const step of steps) {
    if (step.joined === true) groups.at(-1)?.push(step)
    else groups.push([step])
  }
  return groups
}

async function runSteps(cloud: Server, steps: readonly PromotionStep[]): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await runOnce(cloud, steps)
    } catch (error) {
      const cause = error instanceof HomeportError ? error.cause : error
      if (attempt === 5 || !isConcurrentUpdate(cause)) throw error
      await sleep(50 * attempt)
    }
  }
}

async function runOnce(cloud: Server, steps: readonly PromotionStep[]): Promise<void> {
  const client = await cloud.pool.connect()
  const isTransaction = steps.length > 1
  try {
    if (isTransaction) await client.query('begin')
    for (const step of steps) await runStep(client, step)
    if (isTransaction) await client.query('commit')
    client.release()
  } catch (error) {
    // The session goes with its transaction.
    client.release(true)
    throw error
  }
}

async function runStep(db: Queryable, { what, sql, values }: PromotionStep): Promise<void> {
  try {
    await db.query(sql, values === undefined ? [] : [...values])
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
  try {
    return await dropSlot(primary.pool, slot, { endsReader: false })
  } catch (error) {
    // An owner who may not replicate: the role that read the slot may drop it.
    if (errorCode(error) !== '42501') throw error
    return dropSlotAsReader(primary, slot, options)
  }
}

async function dropSlotAsReader(primary: Server, slot: string, options: PromoteOptions): Promise<boolean> {
  try {
    const reader = createPool({
      connectionString: await options.replicationUrl(primary),
      applicationName: 'homeport ops',
    })
    try {
      return await dropSlot(reader, slot, { endsReader: false })
    } finally {
      await reader.end()
    }
  } catch (error) {
    // The cloud is the primary by now: what is left is told, with its statement.
    options.onNote?.(`the slot ${slot} stays at home: ${errorMessage(error)}`)
    return false
  }
}
