import type { Finding } from '../finding.ts'
import { judgeHealth, judgeKeptLog, judgeSlot, type HealthLimits } from '../health-verdicts.ts'
import type { ReplicationHealth } from '../health.ts'
import type { Seen } from './alerts.ts'
import type { HomeLook } from './home-look.ts'
import type { Alert } from './sample.ts'
import type { ServerLook } from './server-look.ts'
import {
  easeLimits,
  judgeDisk,
  judgeForecast,
  judgeHeartbeat,
  judgeUnseenDisk,
  keepFailing,
  keepForerunners,
  raisedCodes,
} from './verdicts.ts'

export interface JudgeLookOptions {
  limits?: HealthLimits
  /** time between two heartbeats */
  beatSeconds: number
  /** those that last */
  alerts: readonly Alert[]
}

/** A heartbeat this old does not travel, whatever a person has set for the lag. */
export const leastStuckSeconds = 60

/** Pure: what a look at both servers finds: about the cloud, and about the primary by itself. */
export function judgeLook(look: ServerLook, options: JudgeLookOptions): Seen[] {
  const { health } = look
  const { alerts, beatSeconds } = options
  const raised = raisedCodes(alerts)
  const limits = easeLimits(options.limits ?? {}, raised)
  const atHome = judgeSlot(health, limits).map(({ code }) => code)
  const judged = keepFailing(health, judgeHealth(health, limits), alerts)
  const limitSeconds = Math.max(leastStuckSeconds, 6 * beatSeconds)
  const found = [...judged, ...judgeHeartbeat(health, judged, { limitSeconds, raised })]
  const findings = found.filter(({ code, side }) => side !== 'primary' || !atHome.includes(code))
  return [{ source: 'look', findings }, judgeHome(look, health, options)]
}

/**
 * Pure: what the primary alone tells, also while the cloud is away.
 *
 * @param health what was last seen of both; null when the cloud has not answered yet
 */
export function judgeHome(
  home: HomeLook,
  health: Pick<ReplicationHealth, 'subscription' | 'relay'> | null,
  { limits = {}, alerts }: Pick<JudgeLookOptions, 'limits' | 'alerts'>,
): Seen {
  const { slot, disk, forecast } = home
  const raised = raisedCodes(alerts)
  const eased = easeLimits(limits, raised)
  const found: Finding[] = [
    ...(health === null ? judgeLoneSlot(home, eased) : judgeSlot({ ...health, slot }, eased)),
    ...judgeForecast(forecast, slot?.name ?? '', raised),
    ...judgeDisk(disk, raised),
    ...judgeUnseenDisk(slot, disk, raised),
  ]
  return { source: 'home', findings: keepForerunners(found, alerts) }
}

function judgeLoneSlot({ slot }: HomeLook, limits: HealthLimits): Finding[] {
  const again = 'ops status says how to copy everything again, once the cloud answers'
  return slot === null ? [] : judgeKeptLog(slot, again, limits)
}
