/** Longer than this nobody holds the relay. */
export const maxHoldMs = 15_000

/** How far batches may be taken from the stream: as far as there are any, or up to a fence. */
export class FenceGate {
  #fence: { id: string; limit: bigint; endsAtMs: number } | null = null
  readonly #onChange: () => void
  readonly #maxHoldMs: number

  constructor(onChange: () => void, holdMs = maxHoldMs) {
    this.#onChange = onChange
    this.#maxHoldMs = holdMs
  }

  /** Only transactions that ended here or before may be taken; null while there is no fence. */
  limit(): bigint | null {
    if (this.#fence !== null && performance.now() >= this.#fence.endsAtMs) this.#fence = null
    return this.#fence?.limit ?? null
  }

  /** Nothing more is taken. False while somebody else holds it. */
  hold(id: string): boolean {
    if (this.limit() !== null && this.#fence?.id !== id) return false
    this.#fence ??= { id, limit: 0n, endsAtMs: performance.now() + this.#maxHoldMs }
    return true
  }

  /** Goes on up to there. False when it is not held, or not any more: then it may have gone further already. */
  moveTo(id: string, limit: bigint): boolean {
    if (this.limit() === null || this.#fence?.id !== id) return false
    this.#fence.limit = limit
    this.#onChange()
    return true
  }

  isHeldBy(id: string): boolean {
    return this.limit() !== null && this.#fence?.id === id
  }

  release(id: string): void {
    if (this.#fence?.id !== id) return
    this.#fence = null
    this.#onChange()
  }
}
