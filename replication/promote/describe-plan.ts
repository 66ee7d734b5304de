import { literal, renderSql } from '../../core/sql.ts'
import type { CloudFacts, HomeFacts } from './facts.ts'
import { leftToDo } from './left-to-do.ts'
import type { Loss } from './loss.ts'
import { planPromotion, type PromotionStep } from './plan.ts'
import type { PromotionReport, Situation } from './situation.ts'

/** Pure: everything that a promotion would do now. */
export function describePlan(situation: Situation, loss: Loss | null): PromotionReport {
  const { home, homeFacts, cloudFacts, mode } = situation
  return {
    applied: false,
    mode,
    home: home.kind,
    loss,
    steps: [
      ...planMigrations(cloudFacts),
      ...planHome(homeFacts),
      ...planPromotion(cloudFacts, homeFacts),
      ...planSlot(cloudFacts, homeFacts),
    ],
    left: leftToDo(cloudFacts, homeFacts, true),
  }
}

export const migrateWords = 'apply the migrations that it lacks'
export const fenceWords =
  'fence home: no session can write content there any more, until ops promote --cancel'

/** Pure: the fence at home, where there is none. */
export function planHome(home: HomeFacts | null): PromotionStep[] {
  if (home === null || home.isFenced) return []
  return [{ side: 'primary', what: fenceWords, sql: '-- a trigger homeport_fence on every table of content' }]
}

function planMigrations({ missingMigrations }: CloudFacts): PromotionStep[] {
  if (missingMigrations.length === 0) return []
  return [{ side: 'cloud', what: migrateWords, sql: `-- ${missingMigrations.join(', ')}` }]
}

function planSlot(cloud: CloudFacts, home: HomeFacts | null): PromotionStep[] {
  const slot = slotOf(cloud)
  if (home?.slots.some((one) => one.name === slot) !== true) return []
  const sql = renderSql('replication/drop-slot', { slot: literal(slot) })
  return [{ side: 'primary', what: `drop the slot ${slot}`, sql }]
}

/** The slot that home keeps for this cloud. */
export function slotOf({ subscription, slot }: CloudFacts): string {
  return subscription?.slot ?? slot
}
