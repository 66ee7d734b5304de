import { subscriptionName } from '../../../core/published-tables.ts'
import { complaints, type Finding } from '../../finding.ts'
import type { RelayState } from '../relay-state.ts'

export interface Modes {
  /** the native subscription of this cloud; null when there is none */
  subscription: object | null
  /** every relay the cloud has a record of */
  states: readonly Pick<RelayState, 'slot' | 'state'>[]
  /** the slot of this cloud */
  slot: string
}

const tearDown = 'ops teardown-replication'

/** Two ways of filling one cloud would write every row twice: the relay is refused beside a subscription. */
export function judgeModes({ subscription, states, slot }: Modes): Finding[] {
  const { findings, complain } = complaints('cloud')
  if (subscription !== null) {
    complain(
      'NATIVE_PRESENT',
      `this cloud follows by the native subscription ${subscriptionName}`,
      `${tearDown}, empty the tables on the cloud, then ops setup-replication --mode relay`,
    )
  }
  return [...findings, ...judgeStates(states, slot)]
}

/** And a native subscription beside a relay. */
export function judgeRelayPresent({ states, slot }: Omit<Modes, 'subscription'>): Finding[] {
  const { findings, complain } = complaints('cloud')
  if (states.some((state) => state.slot === slot && state.state !== 'promoted')) {
    complain(
      'RELAY_PRESENT',
      `the relay fills this cloud, through the slot ${slot}`,
      `ops setup-replication --mode relay; or, to change over: ${tearDown}, and empty the tables on the cloud`,
    )
  }
  return [...findings, ...judgeStates(states, slot)]
}

/** A cloud that is a primary by now; and the record of another slot, which came here with a copy of another cloud's database. */
function judgeStates(states: Modes['states'], slot: string): Finding[] {
  const { findings, complain } = complaints('cloud')
  if (states.some((state) => state.slot === slot && state.state === 'promoted')) {
    complain(
      'PROMOTED',
      "this cloud was promoted: it is a primary of its own, and its rows are nobody's copy",
      'put it into LOCAL_DATABASE_URL; to have that server follow after all: a new, empty database there',
    )
    return findings
  }
  const foreign = states.filter((state) => state.slot !== slot).map((state) => state.slot)
  if (foreign.length > 0) {
    complain(
      'RELAY_FOREIGN',
      `this database has the relay's record of another cloud (${foreign.join(', ')}): it is a copy of that one`,
      `${tearDown} takes the record out of this copy, and leaves the other cloud's slot`,
    )
  }
  return findings
}
