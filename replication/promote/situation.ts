import { HomeportError } from '../../core/errors.ts'
import { refuseOnErrors } from '../finding.ts'
import { spoolFolderOf } from '../relay/state-folder.ts'
import { isSameServer } from '../server-facts.ts'
import type { Server } from '../servers.ts'
import type { VerifyProgress } from '../verify/progress.ts'
import { readCloudFacts, readHomeFacts, type CloudFacts, type HomeFacts } from './facts.ts'
import type { Home } from './home.ts'
import { unknownLoss, type AcceptedLoss, type Loss } from './loss.ts'
import type { PromotionStep } from './plan.ts'
import { readSpoolFacts, type SpoolFacts } from './spool.ts'
import { followingMode, judgePromotion, type FollowingMode } from './verdicts.ts'

export interface PromoteOptions {
  /** LOCAL_DATABASE_URL; undefined where nothing is set */
  primaryUrl: string | undefined
  /** PRODUCTION_DATABASE_URL */
  cloudUrl: string
  /** the primary as a role that may replicate; asked only when home lives */
  replicationUrl: (primary: Server) => Promise<string>
  /** RELAY_STATE_PATH */
  statePath: string
  /** change something; without, only the plan is made */
  apply: boolean
  accepted: AcceptedLoss | null
  /** how long writers may take to end, and then the cloud to catch up */
  timeoutMs: number
  /** how long home may not answer at all once it is fenced (default 30 s) */
  silenceMs?: number
  signal?: AbortSignal
  /** after what can be refused without changing anything, and before the first change */
  onPlan?: (plan: PromotionReport) => Promise<void>
  onStep?: (step: Pick<PromotionStep, 'side' | 'what'>) => void
  onNote?: (text: string) => void
  onProgress?: (progress: VerifyProgress) => void
}

export interface PromotionReport {
  applied: boolean
  mode: Exclude<FollowingMode, null>
  home: 'alive' | 'gone'
  /** null where it was not measured: a plan compares nothing, and a promotion that goes on has done so before */
  loss: Loss | null
  steps: readonly PromotionStep[]
  /** for a person to do, in sentences */
  left: readonly string[]
}

/** Both sides at one moment, and nothing in the way. */
export interface Situation {
  home: Home
  homeFacts: HomeFacts | null
  cloud: Server
  cloudFacts: CloudFacts
  mode: Exclude<FollowingMode, null>
}

/**
 * Reads both sides. @throws HomeportError SAME_SERVER and the findings of judgePromotion, exit 2.
 */
export async function readSituation(cloud: Server, home: Home): Promise<Situation> {
  if (home.kind === 'alive' && isSameServer(home.server.facts, cloud.facts)) {
    throw new HomeportError('SAME_SERVER', 'LOCAL_DATABASE_URL and PRODUCTION_DATABASE_URL are one server', {
      hint: 'LOCAL_DATABASE_URL is the old home, PRODUCTION_DATABASE_URL the cloud that takes its place',
      exitCode: 2,
    })
  }
  const cloudFacts = await readCloudFacts(cloud)
  const homeFacts = home.kind === 'alive' ? await readHomeFacts(home.server) : null
  refuseOnErrors(judgePromotion(cloudFacts, homeFacts), 'this cloud cannot be promoted')
  const mode = followingMode(cloudFacts)
  if (mode === null) throw new Error('a cloud that follows nobody was not refused')
  return { home, homeFacts, cloud, cloudFacts, mode }
}

/** What a plan knows of the loss before home stands still: only where it is gone. */
export async function foreseeLoss(
  options: Pick<PromoteOptions, 'statePath'>,
  situation: Situation,
): Promise<Loss | null> {
  const { home, cloudFacts, mode } = situation
  if (mode === 'promoted' || home.kind === 'alive') return null
  return unknownLoss(home.reason, cloudFacts, await readSpool(options, cloudFacts))
}

function readSpool(
  options: Pick<PromoteOptions, 'statePath'>,
  { relay }: CloudFacts,
): Promise<SpoolFacts | null> {
  if (relay === null) return Promise.resolve(null)
  return readSpoolFacts(spoolFolderOf(options.statePath), { slot: relay.slot, after: relay.endLsn })
}
