import { setTimeout as delay } from 'node:timers/promises'
import { HomeportError } from '../../core/errors.ts'
import { readRelayStates } from '../relay/relay-state.ts'
import { withPrimaryLock } from '../relay/setup/primary-lock.ts'
import { openServer, type Server } from '../servers.ts'
import { slotNameFor } from '../slot.ts'
import { carryOut } from './carry-out.ts'
import { describePlan } from './describe-plan.ts'
import { readCloudFacts } from './facts.ts'
import { liftFence, readFence } from './fence.ts'
import { openHome, type Home } from './home.ts'
import { refuseLoss } from './loss.ts'
import { whileHomeAnswers } from './pulse.ts'
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
    if (home.kind === 'alive') return promoteFrom(options, cloud, home)
    return withLocks([options.cloudUrl], async () => {
      await refuseReturn(options.primaryUrl)
      return carryOut(options, await readSituation(cloud, home))
    })
  })
}

/** A person may have taken long to agree: what another one has done meanwhile is read anew, once nobody else can. */
function promoteFrom(
  options: PromoteOptions,
  cloud: Server,
  home: Extract<Home, { kind: 'alive' }>,
): Promise<PromotionReport> {
  const { url } = home.server
  const pulse = {
    url,
    silenceMs: options.silenceMs ?? 30_000,
    explain: () => explainSilence(cloud),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  }
  return whileHomeAnswers(pulse, (signal) =>
    withLocks([options.cloudUrl, url], async () =>
      carryOut({ ...options, signal }, await readSituation(cloud, home)),
    ),
  )
}

/** A home that answers again can be fenced and drained, and nothing need be lost. */
async function refuseReturn(primaryUrl: string | undefined): Promise<void> {
  const home = await openHome(primaryUrl)
  if (home.kind === 'gone') return
  await close(home.server)
  throw new HomeportError('HOME_BACK', 'home answers again: nothing was changed', {
    hint: 'run ops promote --apply again: it fences home, and loses nothing',
    exitCode: 2,
  })
}

async function explainSilence(cloud: Server): Promise<HomeportError> {
  const states = await readRelayStates(cloud.pool)
  const [what, hint] = states.some((state) => state.state === 'promoted')
    ? [
        'the cloud is marked as a primary, and something may be left to do there and at home',
        'run ops promote --apply again: it does the rest, also of home once that answers',
      ]
    : [
        'the cloud was not changed; home may be fenced',
        'once home answers: ops promote --apply again, or ops promote --cancel, so that it takes writes again; ' +
          'if it is gone for good: stop it, then ops promote --apply --accept-loss unknown',
      ]
  return new HomeportError('HOME_SILENT', `home stopped answering in the middle of it: ${what}`, { hint })
}

/**
 * Takes back what a promotion that was given up or killed has left: home takes writes again.
 * @throws HomeportError PROMOTED, exit 2, once the cloud is marked: two primaries would part; HOME_GONE; SETUP_RUNS
 * while a promotion is under way; the findings of judgePromotion, exit 2: another cloud may be the one that is marked.
 */
export async function cancelPromotion(
  options: Pick<PromoteOptions, 'primaryUrl' | 'cloudUrl'>,
): Promise<void> {
  return withBoth(options, async (cloud, home) => {
    await refuseMarked(cloud)
    if (home.kind === 'gone') {
      throw new HomeportError('HOME_GONE', `home does not answer: ${home.reason}`, {
        hint: 'start it, and run this again',
      })
    }
    await withLocks([options.cloudUrl, home.server.url], async () => {
      await refuseMarked(cloud)
      const { fencedFor } = await readFence(home.server.pool)
      if (fencedFor !== slotNameFor(cloud.facts)) await readSituation(cloud, home)
      await liftFence(home.server.pool)
    })
  })
}

async function refuseMarked(cloud: Server): Promise<void> {
  const { relay } = await readCloudFacts(cloud)
  if (relay?.state !== 'promoted') return
  throw new HomeportError('PROMOTED', 'the cloud is a primary already: home must not be written to as well', {
    hint: 'ops promote --apply finishes what is left',
    exitCode: 2,
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
      if (home.kind === 'alive') await close(home.server)
    }
  } finally {
    await close(cloud)
  }
}

/** Its sessions; not for long where one waits for a machine that does not answer. */
async function close({ pool }: Server): Promise<void> {
  await Promise.race([pool.end(), delay(2_000, undefined, { ref: false })])
}

/** No setup, copy or other promotion of these databases meanwhile. */
function withLocks<T>(urls: readonly string[], work: () => Promise<T>): Promise<T> {
  const [first, ...others] = urls
  return first === undefined ? work() : withPrimaryLock(first, () => withLocks(others, work))
}
