import t from 'tap'
import {
  afterFailure,
  afterProbe,
  afterSuccess,
  firstTransport,
  isProbeDue,
  type TransportPolicy,
} from '../../../replication/relay/transport-choice.ts'

const both: TransportPolicy = {
  available: ['direct', 'gateway'],
  fallBackAfterMs: 10_000,
  probeMs: 30_000,
  probeMaxMs: 100_000,
}
const directOnly: TransportPolicy = { ...both, available: ['direct'] }
const gatewayOnly: TransportPolicy = { ...both, available: ['gateway'] }

t.test('straight comes first, where there is a choice', async (t) => {
  t.equal(firstTransport(both).current, 'direct')
  t.equal(firstTransport(directOnly).current, 'direct')
  t.equal(firstTransport(gatewayOnly).current, 'gateway')
})

t.test('the gateway takes over when straight has failed for a while, not at once', async (t) => {
  let state = afterFailure(firstTransport(both), both, 1_000)
  t.match(state, { current: 'direct', failingSinceMs: 1_000 })
  state = afterFailure(state, both, 10_999)
  t.equal(state.current, 'direct')
  t.equal(isProbeDue(state, 1e9), false, 'nothing to probe while it is in use')
  state = afterFailure(state, both, 11_000)
  t.same(state, { current: 'gateway', failingSinceMs: null, failedProbes: 0, probeAtMs: 41_000 })
})

t.test('one success in between starts the time again', async (t) => {
  let state = afterFailure(firstTransport(both), both, 0)
  state = afterSuccess(state)
  state = afterFailure(state, both, 20_000)
  t.match(state, { current: 'direct', failingSinceMs: 20_000 })
})

t.test('straight is looked at again, later each time, and taken when it works', async (t) => {
  let state = afterFailure(afterFailure(firstTransport(both), both, 0), both, 10_000)
  t.equal(isProbeDue(state, 39_999), false)
  t.equal(isProbeDue(state, 40_000), true)
  state = afterProbe(state, false, both, 40_000)
  t.match(state, { current: 'gateway', probeAtMs: 100_000 })
  state = afterProbe(state, false, both, 100_000)
  t.match(state, { probeAtMs: 200_000 }, 'never later than the longest wait')
  state = afterProbe(state, true, both, 200_000)
  t.same(state, firstTransport(both))
})

t.test('when the gateway fails too, straight is looked at in the same moment', async (t) => {
  let state = afterFailure(afterFailure(firstTransport(both), both, 0), both, 10_000)
  state = afterFailure(state, both, 12_000)
  t.equal(state.current, 'gateway')
  t.equal(isProbeDue(state, 12_000), true)
})

t.test('without a choice nothing changes', async (t) => {
  let state = firstTransport(directOnly)
  for (const now of [0, 20_000, 1e9]) state = afterFailure(state, directOnly, now)
  t.match(state, { current: 'direct', probeAtMs: null })
  state = firstTransport(gatewayOnly)
  for (const now of [0, 20_000, 1e9]) state = afterFailure(state, gatewayOnly, now)
  t.match(state, { current: 'gateway', probeAtMs: null })
})
