export type Transport = 'direct' | 'gateway'

export interface TransportPolicy {
  /** the ways that have a setting, at least one */
  available: readonly Transport[]
  /** how long straight may fail before the gateway takes over */
  fallBackAfterMs: number
  /** time to the first look whether straight works again; doubles up to `probeMaxMs` while it does not */
  probeMs: number
  probeMaxMs: number
}

/** Which way batches go, and since when the straight one has been failing. Times are of one clock, in ms. */
export interface TransportState {
  readonly current: Transport
  /** null while it works, or while it is not in use */
  readonly failingSinceMs: number | null
  readonly failedProbes: number
  /** when to try straight again; null while batches go straight, and where there is no choice */
  readonly probeAtMs: number | null
}

/** Straight first, where it is available. */
export function firstTransport(policy: TransportPolicy): TransportState {
  const current = policy.available.includes('direct') ? 'direct' : 'gateway'
  return { current, failingSinceMs: null, failedProbes: 0, probeAtMs: null }
}

/** After a batch or a connection went through. */
export function afterSuccess(state: TransportState): TransportState {
  return state.failingSinceMs === null ? state : { ...state, failingSinceMs: null }
}

/** After the way in use was found broken: stays, or changes to the gateway once it has gone on long enough. */
export function afterFailure(state: TransportState, policy: TransportPolicy, nowMs: number): TransportState {
  const failingSinceMs = state.failingSinceMs ?? nowMs
  if (state.current === 'gateway') {
    // Both may be broken; whichever comes back first is taken.
    return policy.available.includes('direct')
      ? { ...state, failingSinceMs, probeAtMs: nowMs }
      : { ...state, failingSinceMs }
  }
  if (!policy.available.includes('gateway') || nowMs - failingSinceMs < policy.fallBackAfterMs) {
    return { ...state, failingSinceMs }
  }
  return { current: 'gateway', failingSinceMs: null, failedProbes: 0, probeAtMs: nowMs + policy.probeMs }
}

/** Whether to look if straight works again, before the next batch goes by the gateway. */
export function isProbeDue(state: TransportState, nowMs: number): boolean {
  return state.probeAtMs !== null && nowMs >= state.probeAtMs
}

/** After such a look: back to straight, or the next look later. */
export function afterProbe(
  state: TransportState,
  works: boolean,
  policy: TransportPolicy,
  nowMs: number,
): TransportState {
  if (works) return { current: 'direct', failingSinceMs: null, failedProbes: 0, probeAtMs: null }
  const failedProbes = state.failedProbes + 1
  const waitMs = Math.min(policy.probeMaxMs, policy.probeMs * 2 ** Math.min(failedProbes, 20))
  return { ...state, failedProbes, probeAtMs: nowMs + waitMs }
}
