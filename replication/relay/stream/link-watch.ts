export interface LinkFacts {
  nowMs: number
  lastByteAtMs: number
  /** when this was asked the last time, and how long ago it should have been */
  lastTickAtMs: number
  tickMs: number
  /** how long a living server may be silent */
  timeoutMs: number
  /** we do not read at the moment */
  isPaused: boolean
}

/**
 * Whether the server is still there. `silent`: no byte came for longer than it keeps a silent connection itself, though
 * it was asked at every tick. `unknown`: we were not there ourselves (a computer asleep, a stopped process), so
 * what it sent may still lie before us.
 */
export function judgeLink(facts: LinkFacts): 'alive' | 'silent' | 'unknown' {
  if (facts.isPaused) return 'unknown'
  if (facts.nowMs - facts.lastTickAtMs > 2 * facts.tickMs) return 'unknown'
  return facts.nowMs - facts.lastByteAtMs > facts.timeoutMs ? 'silent' : 'alive'
}

/** Where the server never gives up a silent connection, we do after its default. */
const defaultTimeoutMs = 60_000
const longestTickMs = 10_000

/** How long a server with this wal_sender_timeout (0 is never) may be silent, and how often it hears from us. */
export function linkTimes(walSenderTimeoutMs: number): { timeoutMs: number; tickMs: number } {
  const timeoutMs = walSenderTimeoutMs > 0 ? walSenderTimeoutMs : defaultTimeoutMs
  return { timeoutMs, tickMs: Math.min(Math.floor(timeoutMs / 3), longestTickMs) }
}
