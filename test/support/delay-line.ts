/** How one direction of a link treats what passes through it. */
export interface LineToxics {
  /** added to every byte; any amount may be on its way at once */
  latencyMs: number
  /** 0 is unlimited */
  bytesPerSecond: number
  /** cut into pieces of this size, which arrive one by one; 0 leaves them whole */
  sliceBytes: number
  /** nothing moves; all of it arrives once it is lifted */
  isStalled: boolean
}

interface Piece {
  bytes: Buffer
  dueAt: number
}

/** Pieces of one direction of one connection, in order, each delivered when its time has come. */
export class DelayLine {
  readonly #toxics: () => LineToxics
  readonly #deliver: (bytes: Buffer) => void
  readonly #queue: Piece[] = []
  #lineFreeAt = 0
  #lastDueAt = 0
  #timer: NodeJS.Timeout | undefined
  #onEmpty: (() => void) | undefined

  constructor(toxics: () => LineToxics, deliver: (bytes: Buffer) => void) {
    this.#toxics = toxics
    this.#deliver = deliver
  }

  /** Whether a sender should wait: a slow line holds a quarter of a second, as a router's buffer would. */
  get isFull(): boolean {
    return this.#lineFreeAt - performance.now() > 250 || (this.#toxics().isStalled && this.#queue.length > 64)
  }

  push(bytes: Buffer): void {
    const { sliceBytes } = this.#toxics()
    const size = sliceBytes === 0 ? bytes.length : sliceBytes
    for (let at = 0; at < bytes.length; at += size) this.#schedule(bytes.subarray(at, at + size))
    this.#drain()
  }

  /** Runs once everything before it has been delivered. */
  whenEmpty(then: () => void): void {
    this.#onEmpty = then
    this.#drain()
  }

  /** Looks again after the toxics changed. */
  wake(): void {
    this.#drain()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#queue.length = 0
    this.#onEmpty = undefined
  }

  #schedule(bytes: Buffer): void {
    const { latencyMs, bytesPerSecond } = this.#toxics()
    const now = performance.now()
    this.#lineFreeAt = Math.max(now, this.#lineFreeAt)
    if (bytesPerSecond > 0) this.#lineFreeAt += (bytes.length / bytesPerSecond) * 1000
    // A latency that was lowered meanwhile must not let bytes overtake.
    this.#lastDueAt = Math.max(this.#lastDueAt, this.#lineFreeAt + latencyMs)
    this.#queue.push({ bytes, dueAt: this.#lastDueAt })
  }

  #drain(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const { isStalled, sliceBytes } = this.#toxics()
    if (isStalled) return
    let piece = this.#queue[0]
    while (piece !== undefined && piece.dueAt <= performance.now()) {
      this.#queue.shift()
      this.#deliver(piece.bytes)
      piece = this.#queue[0]
      // One piece a turn of the loop, so that the receiver reads them apart.
      if (sliceBytes > 0) break
    }
    if (piece === undefined) {
      this.#onEmpty?.()
      this.#onEmpty = undefined
      return
    }
    const waitMs = Math.max(0, piece.dueAt - performance.now())
    this.#timer = setTimeout(() => this.#drain(), waitMs)
  }
}
