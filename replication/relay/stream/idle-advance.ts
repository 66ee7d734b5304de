export interface IdleFacts {
  /** the server has sent everything up to here */
  sentLsn: bigint
  /** end of the last batch that was handed out */
  endLsn: bigint
  /** nothing is arriving, waits, or was handed out and is not acknowledged */
  isIdle: boolean
  /** since the last batch was handed out */
  sinceBatchMs: number
  /** the server waits for us, to shut down */
  isAwaited: boolean
}

const everyMs = 3_000
const farBytes = 1024n * 1024n
const everyMsWhenFar = 250

/**
 * Milliseconds until an empty batch may lead on to where the server is: log that the publication says nothing about is
 * not kept for us any longer, and the cloud is not bothered at every keepalive. Null when there is nothing to lead to.
 */
export function idleDelayMs(facts: IdleFacts): number | null {
  if (!facts.isIdle || facts.sentLsn <= facts.endLsn) return null
  if (facts.isAwaited) return 0
  const intervalMs = facts.sentLsn - facts.endLsn >= farBytes ? everyMsWhenFar : everyMs
  return Math.max(0, intervalMs - facts.sinceBatchMs)
}
