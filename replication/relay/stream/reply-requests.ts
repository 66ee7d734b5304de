/** Requests in a row, without anything new, from which on a server counts as shutting down. */
const storm = 8
const apartMs = 1_000
/** how long a server that shuts down is kept waiting for what it has sent */
const graceMs = 5_000
const replyEveryMs = 50

/**
 * What a server's requests for a reply say. A live one asks once in half its timeout. One that shuts down waits until
 * everything it has sent is confirmed, and asks again at every answer that does not (WalSndDone in walsender.c), without
 * an end when the cloud is away.
 */
export class ReplyRequests {
  #lsn = -1n
  #count = 0
  #firstAtMs = 0
  #lastAtMs = 0

  /** A request that came with a keepalive. Returns the milliseconds to wait before the answer. */
  add(lsn: bigint, nowMs: number): number {
    if (lsn !== this.#lsn || nowMs - this.#lastAtMs > apartMs) {
      this.#lsn = lsn
      this.#count = 0
      this.#firstAtMs = nowMs
    }
    this.#count += 1
    this.#lastAtMs = nowMs
    // Answered at once each time, the two of us would do nothing else.
    return this.#count > storm ? replyEveryMs : 0
  }

  isShuttingDown(nowMs: number): boolean {
    return this.#count >= storm && nowMs - this.#lastAtMs <= apartMs
  }

  /** It has waited long enough: the connection is given up, so that it can end. */
  hasWaited(nowMs: number): boolean {
    return this.isShuttingDown(nowMs) && nowMs - this.#firstAtMs > graceMs
  }
}
