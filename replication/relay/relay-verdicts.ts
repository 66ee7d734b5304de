import { complaints, type Finding } from '../finding.ts'
import type { SlotFacts } from '../slot.ts'
import type { RelayState } from './relay-state.ts'

/** Whether a relay pushes, as far as the cloud knows. */
export function isFollowing(relay: Pick<RelayState, 'state' | 'isHeld'>): boolean {
  return relay.state === 'following' && relay.isHeld
}

/** What is wrong with the relay that fills the cloud. */
export function judgeRelay(relay: RelayState, slot: Pick<SlotFacts, 'active'> | null): Finding[] {
  const { findings, complain } = complaints('cloud')
  for (const { table, rows } of relay.quarantined) {
    findings.push({
      code: 'QUARANTINED',
      table,
      side: 'cloud',
      severity: 'error',
      message: `the cloud refused ${rows} ${rows === 1 ? 'row' : 'rows'} of ${table}, put aside in relay_quarantine`,
      fix: `remove what refuses them in the cloud, then: ops repair ${table} --apply`,
    })
  }
  if (relay.state === 'seeding') {
    const { copied, all } = relay.ranges
    const message = `the initial copy is not complete: ${copied} of ${all} ranges`
    complain('SEEDING', message, 'ops setup-replication --mode relay goes on with it', 'warning')
    return findings
  }
  if (relay.stopCode !== null) {
    complain(relay.stopCode, relay.stopMessage ?? 'the relay has stopped', relay.stopHint ?? 'ops relay')
    return findings
  }
  if (!relay.isHeld) {
    const { holderName, holderUntil } = relay
    const last =
      holderName === null || holderUntil === null
        ? 'none ever ran'
        : `${holderName} was heard of last at ${holderUntil.toISOString()}`
    const reads = slot?.active === true ? '; something reads its slot, and does not reach the cloud' : ''
    complain('RELAY_NOT_RUNNING', `no relay is running: ${last}${reads}`, 'start ops relay at home')
  }
  return findings
}
