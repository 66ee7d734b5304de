import { HomeportError } from '../../core/errors.ts'
import { withPrimaryLock } from '../relay/setup/primary-lock.ts'
import { openServer, type Server } from '../servers.ts'
import { carryOut } from './carry-out.ts'
import { describePlan } from './describe-plan.ts'
import { readCloudFacts } from './facts.ts'
import { liftFence } from './fence.ts'
import { openHome, type Home } from './home.ts'
import { refuseLoss } from './loss.ts'
import { foreseeLoss, readSituation, type PromoteOptions, type PromotionReport } from './situation.ts'

/**
 * Makes the cloud a primary: fences home where it lives, waits until the cloud has everything, proves it, marks the
 * cloud so that nothing of the old home writes there again, and puts back what a cloud lacks. What is done is read from
 * both databases, so that a run which was cut off anywhere is finished by another one.
 *
 * @throws HomeportError before anything is changed: the findings of judgePromotion, exit 2, HOME_UNCERTAIN,
 * SAME_SERVER; LOSS, DRIFT and LOSS_UNKNOWN, exit 3, when more would be lost than was agreed to; WRITERS_STAY,
 * UNPROVEN, SETUP_RUNS. Wherever it throws before the mark, home takes writes again.
 */
export async function promote(options: PromoteOptions): Promise<PromotionReport> {
  return withBoth(options, async (cloud, home) => {
    const situation = await readSituation(cloud, home)
    const plan = describePlan(situation, await foreseeLoss(options, situation))
    if (!options.apply) return plan
    if (home.kind === 'gone') refuseLoss(plan.loss ?? { kind: 'none' }, options.accepted)
    await options.onPlan?.(plan)
    const locked = [options.cloudUrl, ...(home.kind === 'alive' ? [home.server.url] : [])]
    return withLocks(locked, () => carryOut(options, situation))
  })
}

/**
 * Takes back what a promotion that was given up or killed has left: home takes writes again.
 * @throws HomeportError PROMOTED, exit 2, once the cloud is marked: two primaries would part; HOME_GONE.
 */
export async function cancelPromotion(
  options: Pick<PromoteOptions, 'primaryUrl' | 'cloudUrl'>,
): Promise<void> {
  return withBoth(options, async (cloud, home) => {
    const { relay } = await readCloudFacts(cloud)
    if (relay?.state === 'promoted') {
      throw new HomeportError(
        'PROMOTED',
        'the cloud is a primary already: home must not be written to as well',
        {
          hint: 'ops promote --apply finishes what is left',
          exitCode: 2,
        },
      )
    }
    if (home.kind === 'gone') {
      throw new HomeportError('HOME_GONE', `home does not answer: ${home.reason}`, {
        hint: 'start it, and run this again',
      })
    }
    await liftFence(home.server.pool)
  })
}

async function withBoth<T>(
  options: Pick<PromoteOptions, 'primaryUrl' | 'cloudUrl'>,
  work: (cloud: Server, home: Home) => Promise<T>,
): Promise<T> {
  const cloud = await openServer('cloud', options.cloudUrl)
  try {
    const home = await openHome(options.primaryUrl)
    try {
      return await work(cloud, home)
    } finally {
      if (home.kind === 'alive') await home.server.pool.end()
    }
  } finally {
    await cloud.pool.end()
  }
}

/** No setup, copy or other promotion of these databases meanwhile. */
function withLocks<T>(urls: readonly string[], work: () => Promise<T>): Promise<T> {
  const [first, ...others] = urls
  return first === undefined ? work() : withPrimaryLock(first, () => withLocks(others, work))
}
