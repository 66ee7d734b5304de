import type { Finding } from '../../finding.ts'
import type { SlotFacts } from '../../slot.ts'
import type { PrimaryFacts } from '../primary-facts.ts'
import type { RelayState } from '../relay-state.ts'
import type { SeedWork } from '../seed/run-seed.ts'
import { judgeIdentity } from '../start-checks.ts'

export interface SeedSituation {
  slotName: string
  /** what the cloud has written down for this slot; null when nothing */
  state: RelayState | null
  /** null when the primary has no such slot */
  slot: Pick<SlotFacts, 'active' | 'activePid' | 'walStatus'> | null
  primary: PrimaryFacts
  /** names of the published tables */
  tables: readonly string[]
}

export interface SeedDecision {
  /** null when everything is there */
  work: SeedWork | null
  findings: readonly Finding[]
}

/** Pure: what is still to be copied before the relay can run, or why nothing can be. */
export function decideSeed(situation: SeedSituation): SeedDecision {
  const { state, slot, slotName, tables } = situation
  const isLost = slot === null || slot.walStatus === 'lost'
  if (state === null) {
    if (slot?.active === true) return { work: null, findings: [slotHeld(situation)] }
    return { work: { kind: 'start', dropSlot: slot !== null, empty: [] }, findings: [] }
  }
  // What is in the way then is said elsewhere.
  if (state.state === 'promoted') return { work: null, findings: [] }
  const changed = judgeIdentity(situation.primary, state)
  if (changed !== null) {
    const { code, message, hint = 'ops reseed' } = changed
    return { work: null, findings: [{ code, side: 'primary', severity: 'error', message, fix: hint }] }
  }
  if (state.state === 'seeding') {
    const known = state.ranges.tables.every((table) => tables.includes(table))
    if (isLost || !known) {
      // What is copied so far cannot be brought up to date any more.
      return { work: { kind: 'start', dropSlot: slot !== null, empty: tables }, findings: [] }
    }
    return { work: { kind: 'resume' }, findings: [] }
  }
  if (isLost) {
    const message = `the slot ${slotName} is ${slot === null ? 'gone' : 'lost'}: changes since then are missing on the cloud`
    const fix = 'ops reseed copies everything again, from a new slot'
    return { work: null, findings: [{ code: 'SLOT_LOST', side: 'primary', severity: 'error', message, fix }] }
  }
  const missing = tables.filter((table) => !state.ranges.tables.includes(table))
  if (missing.length === 0) return { work: null, findings: [] }
  return { work: { kind: 'tables', tables: missing, from: state }, findings: [] }
}

function slotHeld({ slotName, slot, primary }: SeedSituation): Finding {
  const holder = primary.slot?.holder
  const who = holder === null || holder === undefined ? '' : ` (${holder})`
  return {
    code: 'SLOT_HELD',
    side: 'primary',
    severity: 'error',
    message: `the slot ${slotName} is read by process ${slot?.activePid ?? 'unknown'}${who}, and the cloud knows nothing of it`,
    fix: `stop that process; on the primary: select pg_terminate_backend(${slot?.activePid ?? 'PID'})`,
  }
}

/** The tables that a copy fills and that must be empty before, because nobody but us has a right to fill them. */
export function tablesToBeEmpty(situation: SeedSituation): readonly string[] {
  if (situation.state === null) return situation.tables
  if (situation.state.state === 'seeding' || situation.state.state === 'promoted') return []
  return situation.tables.filter((table) => situation.state?.ranges.tables.includes(table) !== true)
}
